-- Is this the database of the storage server itself, as on Supabase, and may its tables be read whole?
--
-- Under row-level security they might seem to be empty, and every file to be missing.

create or replace function public.reads_storage_tables(p_bucket_names text[])
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
    v_objects regclass;
    v_buckets regclass;
    v_all_there boolean;
begin
    if not exists (
        select from pg_catalog.pg_namespace n
        where n.nspname = 'storage' and has_schema_privilege(n.oid, 'usage')
    ) then
        return false;
    end if;
    v_objects := to_regclass('storage.objects');
    v_buckets := to_regclass('storage.buckets');
    if v_objects is null or v_buckets is null
        or not has_table_privilege(v_objects, 'select') or not has_table_privilege(v_buckets, 'select')
        or row_security_active(v_objects) or row_security_active(v_buckets)
        or (
            select count(*)
            from pg_catalog.pg_attribute a
            where a.attrelid = v_objects and not a.attisdropped
                and a.attname in ('bucket_id', 'name', 'metadata', 'created_at', 'updated_at')
        ) < 5
    then
        return false;
    end if;
    execute format('select $1 <@ array(select b.id::text from %s b)', v_buckets)
    into v_all_there
    using p_bucket_names;
    return v_all_there;
end;
$$;

comment on function public.reads_storage_tables is
    'Whether the tables of the storage server are in this database, can be read whole and know these buckets.';
