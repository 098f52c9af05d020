-- squawk-ignore-file ban-drop-table, ban-drop-column
-- What was stored encoded keeps its path, with the name and the type of what was received.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_objects drop column stored_type, drop column encoding;
alter table public.media_settings
    drop column image_edge_most,
    drop column image_quality,
    drop column opus_bit_rate,
    drop column strip_public_images;
alter table public.media_buckets drop column compress_above, drop column compress_lossy;
drop table public.media_encodings;
