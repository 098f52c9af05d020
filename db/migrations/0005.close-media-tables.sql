-- Nobody but operators reads the tables; everybody else calls functions.
--
-- Supabase's default privileges open every new table and sequence of public to its API roles: taken
-- back here.
-- Tables that were there before pgmedia keep the rights their owner gave them.
-- depends: 0004.create-media-records

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
declare
    v_table text;
    v_role text;
    v_sequence regclass;
begin
    foreach v_table in array array[
        'messages', 'media', 'media_adopted_tables', 'media_analytics', 'media_analytics_deltas',
        'media_audit_log', 'media_buckets', 'media_deletion_queue', 'media_failure_rules', 'media_formats',
        'media_objects', 'media_pauses', 'media_pollers', 'media_processing_queue',
        'media_schema_functions', 'media_settings', 'media_sources'
    ] loop
        continue when exists (select from public.media_adopted_tables a where a.table_name = v_table);
        foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
            if v_role = 'public' or to_regrole(v_role) is not null then
                execute format('revoke all on public.%I from %s', v_table, v_role);
                for v_sequence in
                    select d.objid
                    from pg_catalog.pg_depend d
                    join pg_catalog.pg_class c on c.oid = d.objid and c.relkind = 'S'
                    where d.refobjid = format('public.%I', v_table)::regclass and d.deptype in ('a', 'i')
                loop
                    execute format('revoke all on sequence %s from %s', v_sequence, v_role);
                end loop;
            end if;
        end loop;
        execute format('alter table public.%I enable row level security', v_table);
        execute format('grant select on public.%I to media_admin', v_table);
        execute format('create policy pgmedia_admin_reads on public.%I for select to media_admin using (true)', v_table);
    end loop;
end $$;
