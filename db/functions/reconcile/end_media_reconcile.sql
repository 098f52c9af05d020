-- Forget a run, with all that it found.

create or replace function public.end_media_reconcile(p_run_id uuid)
returns void
language plpgsql
volatile
security definer -- operators may not write to the tables
set search_path = ''
as $$
begin
    delete from public.media_storage_differences d where d.run_id = p_run_id;
    delete from public.media_storage_listing f where f.run_id = p_run_id;
    delete from public.media_reconcile_runs r where r.id = p_run_id;
end;
$$;

comment on function public.end_media_reconcile is 'Forget a run of begin_media_reconcile, with its listing and its differences.';
grant execute on function public.end_media_reconcile to media_admin;
