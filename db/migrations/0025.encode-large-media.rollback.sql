-- squawk-ignore-file ban-drop-table, ban-drop-column, ban-drop-constraint, ban-drop-function
-- What was stored encoded keeps its path, with the name and the type of what was received.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_objects drop column stored_type, drop column encoding;
alter table public.media_settings
    drop column image_edge_most,
    drop column image_quality,
    drop column opus_bit_rate,
    drop column strip_public_images,
    drop column quarantine_refused,
    drop column quarantine_kept;
alter table public.media_formats drop column document_goes_as;
delete from public.media_failure_rules r where r.failure_code = 'metadata_not_removed';
alter table public.media_buckets drop column compress_above, drop column compress_lossy;
drop table public.media_encodings;
-- What is in the quarantine goes to the deletion queue first.
insert into public.media_deletion_queue (bucket_name, storage_path, reason)
select 'media-quarantine', q.storage_path, 'quarantine over' from public.media_quarantine q
on conflict (bucket_name, storage_path) do nothing;
drop trigger if exists release_quarantined_media on public.media;
drop function if exists public.release_quarantined_media();
drop table public.media_quarantine;
alter table public.media_buckets drop constraint media_buckets_bucket_name_free;
