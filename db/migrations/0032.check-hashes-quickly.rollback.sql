-- squawk-ignore-file ban-drop-constraint, constraint-missing-not-valid
set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_objects
    drop constraint media_objects_content_hash_check,
    drop constraint media_objects_stored_hash_check,
    add constraint media_objects_content_hash_check check (content_hash ~ '^[0-9a-f]{64}$'),
    add constraint media_objects_stored_hash_check check (stored_hash ~ '^[0-9a-f]{64}$');

alter table public.media_processing_queue
    drop constraint media_processing_queue_content_hash_check,
    add constraint media_processing_queue_content_hash_check check (content_hash ~ '^[0-9a-f]{64}$');
