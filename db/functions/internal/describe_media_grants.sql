-- Who may do what with pgmedia's functions and tables, one line per right. Tables that a bot had before keep
-- the rights their owner gave them.

create or replace function public.describe_media_grants()
returns setof text
language sql
stable
set search_path = ''
as $$
    select format('grant %s on %s to %s', lower(x.privilege_type), g.name,
        case x.grantee when 0 then 'public' else x.grantee::regrole::text end)
    from (
        select p.oid::regprocedure::text as name, p.proowner as owner,
            coalesce(p.proacl, acldefault('f', p.proowner)) as acl
        from public.media_schema_functions s
        join pg_catalog.pg_proc p on p.oid = to_regprocedure(s.signature)
        union all
        select c.relname, c.relowner, c.relacl
        from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace
            and c.relname = any (public.list_media_relations())
            and not exists (select from public.media_adopted_tables t where t.table_name = c.relname)
    ) g
    cross join aclexplode(g.acl) x
    where x.grantee <> g.owner
        and x.grantee is distinct from to_regrole('service_role')::oid
        and not ( -- what an operator opened is no difference
            x.grantee is not distinct from to_regrole('anon')::oid
            and g.name like 'public.whatsapp_webhook(%'
            and (select s.webhook_open from public.media_secrets s));
$$;

comment on function public.describe_media_grants is
    'Rights on the functions and tables of pgmedia, one line each; part of describe_media_schema.';
