-- The constraints and constraint triggers that are checked at the commit unless somebody says otherwise, for
-- SET CONSTRAINTS. Left out are those it cannot name: in a schema that is closed to us, or with the name of
-- another one that is not deferred.

create or replace function public.list_deferred_constraints()
returns text
language sql
stable
set search_path = ''
as $$
    select string_agg(distinct format('%I.%I', n.nspname, c.conname), ', ')
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_namespace n on n.oid = c.connamespace
    where c.condeferred
        and has_schema_privilege(n.oid, 'usage')
        and not exists (
            select
            from pg_catalog.pg_constraint x
            where x.connamespace = c.connamespace and x.conname = c.conname and not x.condeferred);
$$;

comment on function public.list_deferred_constraints is
    'The constraints that are initially deferred, as SET CONSTRAINTS takes them; null when there are none.';
