-- squawk-ignore-file ban-drop-table, ban-drop-constraint
-- The functions go first: triggers of the tables below and of media depend on them.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
declare
    f record;
begin
    for f in select s.signature from public.media_schema_functions s loop
        execute format('drop function if exists %s cascade', f.signature);
    end loop;
end $$;

drop table public.media_schema_functions, public.media_analytics_deltas, public.media_analytics,
    public.media_audit_log;
