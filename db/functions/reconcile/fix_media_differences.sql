-- Fix confirmed differences whose files have been asked for just now: what was confirmed must still
-- be so. A file without a row is queued for removal; attachments without their file are queued again.

create or replace function public.fix_media_differences(p_run_id uuid, p_files jsonb)
returns table (difference text, bucket_name text, storage_path text, outcome text, attachments integer, expired integer)
language plpgsql
volatile
security definer -- operators may not write to the tables
set search_path = ''
as $$
#variable_conflict use_column
declare
    v_confirmed public.media_storage_differences;
    v_now public.media_storage_differences;
begin
    perform public.relist_media_files(p_run_id, p_files);
    return query
    update public.media_storage_differences d
    set status = 'left'
    from jsonb_to_recordset(p_files) f (bucket_name text, storage_path text, is_there boolean)
    where d.run_id = p_run_id and d.bucket_name = f.bucket_name and d.storage_path = f.storage_path
        and d.status = 'confirmed' and f.is_there is null
    returning d.difference, d.bucket_name, d.storage_path, 'storage did not say', null::integer, null::integer;
    for v_confirmed in
        select d.*
        from public.media_storage_differences d
        join jsonb_to_recordset(p_files) f (bucket_name text, storage_path text)
            on f.bucket_name = d.bucket_name and f.storage_path = d.storage_path
        where d.run_id = p_run_id and d.status = 'confirmed'
        order by d.bucket_name, d.storage_path
        for update of d
    loop
        difference := v_confirmed.difference;
        bucket_name := v_confirmed.bucket_name;
        storage_path := v_confirmed.storage_path;
        attachments := null;
        expired := null;
        select x.* into v_now
        from public.find_media_differences(p_run_id, bucket_name, array[storage_path]) x;
        if (v_now.difference, v_now.object_id, v_now.stored_at)
            is distinct from (v_confirmed.difference, v_confirmed.object_id, v_confirmed.stored_at)
        then
            outcome := 'changed meanwhile';
        elsif v_now.difference = 'orphan' then
            insert into public.media_deletion_queue (bucket_name, storage_path, reason)
            values (v_now.bucket_name, v_now.storage_path, 'orphan')
            on conflict (bucket_name, storage_path) do nothing;
            if found then
                perform public.log_media_event('00000000-0000-0000-0000-000000000000', 'orphan',
                    to_jsonb(v_now) - '{run_id,difference,status}'::text[]);
                outcome := 'removal queued';
            else -- by another run
                outcome := 'changed meanwhile';
            end if;
        else
            select q.attachments, q.expired into attachments, expired
            from public.requeue_media_object(v_now) q;
            outcome := case when attachments is null then 'in use, try again' else 'queued again' end;
        end if;
        update public.media_storage_differences d
        set status = case when outcome in ('removal queued', 'queued again') then 'fixed' else 'left' end
        where d.run_id = p_run_id and d.bucket_name = v_confirmed.bucket_name
            and d.storage_path = v_confirmed.storage_path;
        return next;
    end loop;
    perform public.wake_media_pollers();
end;
$$;

comment on function public.fix_media_differences is
    'Fix confirmed differences of a run; p_files as for confirm_media_differences, asked for just now. outcome: removal queued (orphan), queued again (so many attachments, of which so many expired: failed at once, as WhatsApp no longer keeps them), changed meanwhile, storage did not say, or in use, try again. The removal of an orphan is in the audit trail of the id 00000000-0000-0000-0000-000000000000. Error: MD060 no such run.';
grant execute on function public.fix_media_differences to media_admin;
