alter table public.media drop constraint pgmedia_media_object_id_fkey;
drop table public.media_pauses, public.media_pollers, public.media_deletion_queue,
    public.media_processing_queue, public.media_objects;
