-- Wake the pollers, at most once at a time.
--
-- NOTIFY takes a lock of the whole database at commit; while one transaction holds the gate, the
-- others need not notify, as the pollers look at the whole queue when they wake. A notification
-- that is missed costs a poll interval, never a row.

create or replace function public.wake_media_pollers()
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    if pg_try_advisory_xact_lock(hashtext('pgmedia.wake')) then
        perform pg_notify('pgmedia_wake', '');
    end if;
end;
$$;

comment on function public.wake_media_pollers is 'Notify channel pgmedia_wake, unless another open transaction already will.';
