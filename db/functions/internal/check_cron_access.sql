-- Is pg_cron in this database, and may we use it? The schema cron is closed to all but superusers until
-- one of them opens it; without that, even the question whether a function is there is refused.

create or replace function public.check_cron_access()
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
    if not exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron') then
        return false;
    end if;
    if not coalesce(has_schema_privilege(to_regnamespace('cron'), 'usage'), false) then
        raise exception 'pg_cron is here, but the role %, which owns the functions of pgmedia, may not use it', current_user
            using errcode = 'MD025', hint = format(
                'Run this as a superuser (on Supabase: postgres), then call again: grant usage on schema cron to %I', current_user);
    end if;
    return true;
end;
$$;

comment on function public.check_cron_access is
    'Whether pg_cron is in this database. Error: MD025 it is, but its schema may not be used.';
