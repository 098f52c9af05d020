-- The cleanup that media_settings asks for: once a day from cleanup_at on, a bounded piece a call,
-- until a pass from the beginning deletes nothing and has met no lock, be it past midnight.

create or replace function public.clean_up_daily(p_settings public.media_settings)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_due date := (now() at time zone 'utc' - p_settings.cleanup_at)::date;
    v_count integer := 0;
    v_is_finished boolean;
    v_locked bigint;
    v_refused bigint;
    v_problem text;
begin
    if p_settings.cleanup_days is not null
        and exists (select from public.media_maintenance r where r.cleaned_on < v_due)
    then
        select c.* into v_count, v_is_finished, v_locked, v_refused, v_problem
        from public.run_media_cleanup(
            p_settings.cleanup_days, keep_accessed_days => p_settings.cleanup_keep_accessed_days) c;
        if v_is_finished and v_count = 0 and v_locked = 0 then
            update public.media_maintenance set cleaned_on = v_due;
            if v_refused > 0 then
                raise warning 'the daily cleanup could not delete % attachment%: %',
                    v_refused, case when v_refused > 1 then 's' else '' end, v_problem;
            end if;
        end if;
    end if;
    return v_count;
end;
$$;

comment on function public.clean_up_daily is
    'Run run_media_cleanup as media_settings says, when it is time and the day is not done; returns how many were deleted.';
