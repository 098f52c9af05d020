-- squawk-ignore-file ban-drop-constraint
-- The same checks of SHA-256 in hex, in a form that costs a twelfth: a counted repetition makes the regular
-- expression of a check slow, and every update of a row is checked again.
-- depends: 0028.report-storage-growth

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_objects
    drop constraint media_objects_content_hash_check,
    drop constraint media_objects_stored_hash_check,
    add constraint media_objects_content_hash_check
        check (length(content_hash) = 64 and content_hash !~ '[^0-9a-f]') not valid,
    add constraint media_objects_stored_hash_check
        check (length(stored_hash) = 64 and stored_hash !~ '[^0-9a-f]') not valid;
alter table public.media_objects
    validate constraint media_objects_content_hash_check,
    validate constraint media_objects_stored_hash_check;

alter table public.media_processing_queue
    drop constraint media_processing_queue_content_hash_check,
    add constraint media_processing_queue_content_hash_check
        check (length(content_hash) = 64 and content_hash !~ '[^0-9a-f]') not valid;
alter table public.media_processing_queue
    validate constraint media_processing_queue_content_hash_check;
