-- squawk-ignore-file ban-drop-table, ban-drop-constraint
set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media drop constraint pgmedia_media_object_id_fkey;
drop table public.media_pauses, public.media_pollers, public.media_deletion_queue,
    public.media_processing_queue, public.media_sources, public.media_objects;
