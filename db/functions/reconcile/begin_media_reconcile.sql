-- Begin to compare storage with the rows. Runs that were not ended, such as after a crash, are
-- forgotten an hour after their last word.

create or replace function public.begin_media_reconcile(p_project_url text, p_bucket_name text default null)
returns table (run_id uuid, bucket_names text[], from_tables boolean)
language plpgsql
volatile
security definer -- operators may not write to the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_known text[] := array(select b.bucket_name from public.media_buckets b order by b.bucket_name);
    v_stale uuid;
begin
    perform public.check_media_project(p_project_url);
    if p_bucket_name <> all (v_known) then
        raise exception 'unknown bucket %', quote_literal(left(p_bucket_name, 100))
            using errcode = 'MD062', hint = format('Use one of %s.', array_to_string(v_known, ', '));
    end if;
    for v_stale in
        select r.id
        from public.media_reconcile_runs r
        where r.seen_at < now() - interval '1 hour'
        for update skip locked
    loop
        perform public.end_media_reconcile(v_stale);
    end loop;
    insert into public.media_reconcile_runs as r (bucket_names, older_than)
    select case when p_bucket_name is null then v_known else array[p_bucket_name] end, now() - s.reconcile_min_age
    from public.media_settings s
    returning r.id, r.bucket_names into run_id, bucket_names;
    from_tables := public.reads_storage_tables(bucket_names);
    return next;
end;
$$;

comment on function public.begin_media_reconcile is
    'Begin to compare storage with the rows, of one bucket or all. p_project_url: where the caller reaches storage. Returns the id of the run, its buckets, and whether copy_media_listing can list them here; else it is add_media_listing. Then come compare_media_storage, confirm_media_differences, fix_media_differences and end_media_reconcile. Errors: MD061 another project, MD062 unknown bucket.';
grant execute on function public.begin_media_reconcile to media_admin;
