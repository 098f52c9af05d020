-- squawk-ignore-file constraint-missing-not-valid, adding-field-with-default, require-concurrent-index-creation
-- Large files are stored smaller, public images without metadata, refused files apart, and documents
-- where the policy wants them: the policy as data.
-- depends: 0024.settle-media-lifecycle

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
declare
    v_name text;
begin
    foreach v_name in array array['media_encodings', 'media_quarantine'] loop
        if to_regclass('public.' || v_name) is not null then
            raise exception 'cannot install pgmedia: schema public already has %', v_name
                using errcode = 'MD030', hint = 'Rename this relation, then migrate again.';
        end if;
    end loop;
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
    add column strip_public_images boolean not null default true,
    add column quarantine_refused boolean not null default false,
    add column quarantine_kept interval not null default '30 days'
        check (quarantine_kept > '0 seconds' and quarantine_kept <= '100 years')
        constraint media_settings_quarantine_kept_forward check (
            least(extract(year from quarantine_kept), extract(month from quarantine_kept), extract(day from quarantine_kept),
                extract(hour from quarantine_kept), extract(minute from quarantine_kept), extract(second from quarantine_kept)) >= 0);
comment on column public.media_settings.image_edge_most is
    'Images that are compressed with loss become no wider and no higher than so many pixels.';
comment on column public.media_settings.image_quality is
    'Quality of images that are compressed with loss, 1 to 100, as libjpeg and libwebp have it.';
comment on column public.media_settings.opus_bit_rate is 'Bits a second of sound that is compressed as Opus.';
comment on column public.media_settings.strip_public_images is
    'Whether images in public buckets, of any size, lose their metadata: place and time, camera, author, comments. Colour profile and orientation stay.';
comment on column public.media_settings.quarantine_refused is
    'Whether refused files are kept in the private bucket media-quarantine, where nobody is served them; pgmedia buckets makes it.';
comment on column public.media_settings.quarantine_kept is 'How long refused files are kept there after they came last.';

alter table public.media_formats
    add column document_goes_as text check (document_goes_as = any (arrives_as));
comment on column public.media_formats.document_goes_as is
    'Media type whose bucket takes files of this format that were sent as a document; null: that of documents. Where that bucket is public, so are they.';

insert into public.media_failure_rules (source, provider_code, action, failure_code, attempts_most)
values ('poller', 'metadata_kept', 'retry', 'metadata_not_removed', 5);

create table public.media_quarantine (
    id uuid primary key default gen_random_uuid(),
    content_hash text not null unique check (content_hash ~ '^[0-9a-f]{64}$'),
    media_id uuid not null,
    file_size bigint not null check (file_size > 0),
    failure_code text not null,
    failure_text text,
    checks jsonb,
    storage_path text not null unique
        default to_char(now() at time zone 'utc', 'YYYY/MM/') || gen_random_uuid() || '.bin',
    arrivals integer not null default 1,
    stored_at timestamptz,
    keep_until timestamptz not null
);
create index media_quarantine_media_idx on public.media_quarantine (media_id);
create index media_quarantine_over_idx on public.media_quarantine (keep_until);
comment on table public.media_quarantine is
    'Refused content that is kept in the bucket media-quarantine, under a path that tells nothing of it.';
comment on column public.media_quarantine.media_id is 'The attachment that brought it last; it goes with it.';
comment on column public.media_quarantine.file_size is 'Bytes received.';
comment on column public.media_quarantine.arrivals is 'How often it was refused.';
comment on column public.media_quarantine.stored_at is 'When storage took it; null: it may be there all the same.';

alter table public.media_buckets
    add constraint media_buckets_bucket_name_free check (bucket_name <> 'media-quarantine');

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
            execute format('revoke all on public.media_encodings, public.media_quarantine from %s', v_role);
        end if;
    end loop;
    alter table public.media_encodings enable row level security;
    alter table public.media_quarantine enable row level security;
    grant select on public.media_encodings, public.media_quarantine to media_admin;
    create policy pgmedia_admin_reads on public.media_quarantine for select to media_admin using (true);
    create policy pgmedia_admin_reads on public.media_encodings for select to media_admin using (true);
end $$;
