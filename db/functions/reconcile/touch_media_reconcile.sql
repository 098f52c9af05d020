-- A run is at work: it is not forgotten, or the caller hears that it was.

create or replace function public.touch_media_reconcile(p_run_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    update public.media_reconcile_runs r set seen_at = now() where r.id = p_run_id;
    if not found then
        raise exception 'the run % is over', coalesce(p_run_id::text, 'null')
            using errcode = 'MD060', hint = 'Runs are forgotten after an hour without a word, and when Postgres crashes: begin again.';
    end if;
end;
$$;

comment on function public.touch_media_reconcile is 'Note that a run of begin_media_reconcile is at work. Error: MD060 no such run.';
