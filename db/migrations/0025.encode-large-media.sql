-- squawk-ignore-file constraint-missing-not-valid, adding-field-with-default
-- Large files are stored smaller, and public images without metadata: the policy as data.
-- depends: 0020.bound-media-lifecycle 0021.hear-first-answers

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
begin
    if to_regclass('public.media_encodings') is not null then
        raise exception 'cannot install pgmedia: schema public already has media_encodings'
            using errcode = 'MD030', hint = 'Rename this relation, then migrate again.';
    end if;
end $$;

create table public.media_encodings (
    mime_type text primary key references public.media_formats (mime_type) on update cascade on delete cascade,
    codec text not null check (codec in ('png', 'webp-lossless', 'webp', 'jpeg', 'flac', 'opus')),
    is_lossy boolean not null generated always as (codec in ('webp', 'jpeg', 'opus')) stored,
    check ((codec in ('flac', 'opus')) = (mime_type = 'audio/wav')),
    check (starts_with(mime_type, 'image/') or mime_type = 'audio/wav')
);
insert into public.media_encodings (mime_type, codec)
select e.mime_type, e.codec
from (values
    ('image/bmp', 'png'),
    ('image/tiff', 'png'),
    ('image/jpeg', 'jpeg'),
    ('image/png', 'webp'),
    ('image/webp', 'webp'),
    ('audio/wav', 'flac')
) e (mime_type, codec)
where exists (select from public.media_formats f where f.mime_type = e.mime_type);
comment on table public.media_encodings is
    'What files above media_buckets.compress_above are made of which content type; files of other types stay as they are.';
comment on column public.media_encodings.codec is
    'png, webp-lossless and flac (in Ogg) keep every pixel and sample; jpeg and webp have media_settings.image_quality and image_edge_most, opus has opus_bit_rate.';

alter table public.media_buckets
    add column compress_above bigint default 5242880 check (compress_above > 0),
    add column compress_lossy boolean not null default true;
comment on column public.media_buckets.compress_above is
    'Files of more bytes are stored as media_encodings says, if that makes them at least 10 % smaller; null: never.';
comment on column public.media_buckets.compress_lossy is
    'Whether this may lose anything; where it may not, only encodings are used that keep every pixel and sample.';
-- whoever sends an image as a document wants it whole
update public.media_buckets set compress_lossy = false where 'document' = any (media_types);

alter table public.media_settings
    add column image_edge_most integer not null default 4096 check (image_edge_most between 16 and 16383),
    add column image_quality smallint not null default 82 check (image_quality between 1 and 100),
    add column opus_bit_rate integer not null default 96000 check (opus_bit_rate between 6000 and 510000),
    add column strip_public_images boolean not null default true;
comment on column public.media_settings.image_edge_most is
    'Images that are compressed with loss become no wider and no higher than so many pixels.';
comment on column public.media_settings.image_quality is
    'Quality of images that are compressed with loss, 1 to 100, as libjpeg and libwebp have it.';
comment on column public.media_settings.opus_bit_rate is 'Bits a second of sound that is compressed as Opus.';
comment on column public.media_settings.strip_public_images is
    'Whether images in public buckets, of any size, lose their metadata: place and time, camera, author, comments. Colour profile and orientation stay.';

alter table public.media_objects
    add column stored_type text,
    add column encoding jsonb;
comment on column public.media_objects.file_size is 'Bytes received.';
comment on column public.media_objects.mime_type is 'Content type of the received bytes.';
comment on column public.media_objects.stored_size is 'Bytes in storage.';
comment on column public.media_objects.stored_type is
    'Content type of the bytes in storage; null: they are those that were received.';
comment on column public.media_objects.encoding is
    'What was done to the received bytes, or tried, with what the content check found in the result; null: nothing.';

do $$
declare
    v_role text;
begin
    foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
        if v_role = 'public' or to_regrole(v_role) is not null then
            execute format('revoke all on public.media_encodings from %s', v_role);
        end if;
    end loop;
    alter table public.media_encodings enable row level security;
    grant select on public.media_encodings to media_admin;
    create policy pgmedia_admin_reads on public.media_encodings for select to media_admin using (true);
end $$;
