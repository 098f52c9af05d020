-- What this database holds of pgmedia, one line per thing, in the same words on Postgres 15 to 18.
--
-- `pgmedia migrate` compares it with db/schema.txt, which a fresh installation gives. Of a table that a
-- bot had before, only what pgmedia needs of it is named: a column, not its type.

create or replace function public.describe_media_schema()
returns setof text
language sql
stable
security definer -- operators have no rights on all it reads
set search_path = ''
as $$
    with relations as (
        select c.oid, c.relname, c.relkind, c.relrowsecurity,
            exists (select from public.media_adopted_tables t where t.table_name = c.relname) as adopted
        from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace
            and c.relname = any (public.list_media_relations())
    ),
    functions as (
        select p.oid, p.oid::regprocedure::text as signature, concat_ws(' ',
            'returns', pg_catalog.pg_get_function_result(p.oid),
            case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
            case when p.prosecdef then 'security definer' end,
            p.proconfig::text, pg_catalog.md5(p.prosrc)) as definition
        from public.media_schema_functions s
        join pg_catalog.pg_proc p on p.oid = to_regprocedure(s.signature)
    ),
    lines (line) as (
        select case
            when r.adopted then format('adopted %s', r.relname)
            else format('%s %s%s', case r.relkind when 'v' then 'view' else 'table' end, r.relname, case when r.relrowsecurity then ' with row-level security' end)
            end
        from relations r
        union all
        select format('policy %s on %s', p.polname, r.relname)
        from relations r
        join pg_catalog.pg_policy p on p.polrelid = r.oid
        where not r.adopted
        union all
        select case
            when r.adopted then format('column %s.%s', r.relname, a.attname)
            else format('column %s.%s %s%s%s', r.relname, a.attname,
                pg_catalog.format_type(a.atttypid, a.atttypmod),
                case when a.attnotnull then ' not null' end,
                ' default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid))
            end
        from relations r
        join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
        left join pg_catalog.pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
        union all
        select format('constraint %s on %s: %s', c.conname, r.relname, pg_catalog.pg_get_constraintdef(c.oid))
        from relations r
        join pg_catalog.pg_constraint c on c.conrelid = r.oid and c.contype in ('c', 'f', 'p', 'u')
        where not r.adopted
            or c.conname in ('pgmedia_media_message_id_whatsapp_media_id_key', 'pgmedia_media_object_id_fkey')
        union all
        select pg_catalog.pg_get_indexdef(i.indexrelid)
        from relations r
        join pg_catalog.pg_index i on i.indrelid = r.oid and i.indisvalid
        where not r.adopted
            or i.indexrelid = any (array[
                to_regclass('public.pgmedia_media_age_idx'),
                to_regclass('public.pgmedia_media_message_id_whatsapp_media_id_key'),
                to_regclass('public.pgmedia_media_object_id_idx'),
                to_regclass('public.pgmedia_media_foreign_path_idx'),
                to_regclass('public.pgmedia_media_undated_idx')])
        union all
        select concat_ws(' ', pg_catalog.pg_get_triggerdef(t.oid),
            case t.tgenabled when 'A' then 'always' when 'D' then 'disabled' when 'R' then 'in replicas' end)
        from relations r
        join pg_catalog.pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
            and t.tgfoid in (select f.oid from functions f)
        union all
        select format('function %s %s', f.signature, f.definition)
        from functions f
        union all
        select g from public.describe_media_grants() g
    )
    select l.line from lines l order by l.line collate "C";
$$;

comment on function public.describe_media_schema is
    'Tables, columns, constraints, indexes, triggers, functions and grants of pgmedia in this database, one line each.';
grant execute on function public.describe_media_schema to media_poller, media_admin;
