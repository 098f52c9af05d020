-- The policy as data: settings, buckets, formats, and what each failure means.
-- depends: 0001.create-messages-and-media

set local lock_timeout = '5s';
set local statement_timeout = '10min';

create table public.media_settings (
    only_row boolean primary key default true check (only_row),
    project_url text check (project_url ~ '^https?://[^/]+$'),
    lease interval not null default '60 seconds' check (lease between '1 second' and '1 hour'),
    max_attempts smallint not null default 5 check (max_attempts between 1 and 100),
    backoff_first interval not null default '5 seconds' check (backoff_first > '0 seconds'),
    backoff_most interval not null default '1 hour' check (backoff_most >= backoff_first),
    pause_most interval not null default '1 hour' check (pause_most > '0 seconds'),
    refusals_per_hour smallint not null default 20 check (refusals_per_hour between 1 and 10000),
    waiting_recheck interval not null default '15 seconds' check (waiting_recheck > '0 seconds'),
    object_cache_control text not null default 'max-age=31536000, immutable'
);
insert into public.media_settings default values;
comment on table public.media_settings is 'The one row of settings that the functions read.';
comment on column public.media_settings.project_url is
    'Supabase project URL without a trailing slash; public_url is built from it.';
comment on column public.media_settings.lease is 'How long a claimed row stays its poller''s without a renewal.';
comment on column public.media_settings.pause_most is
    'A pause that keeps being confirmed doubles up to this.';
comment on column public.media_settings.refusals_per_hour is
    'Requests that WhatsApp may refuse to one number in an hour; it blocks numbers that go on. It is also the most jobs of one number in work at once, so that even a token that expires under all of them stays within it.';
comment on column public.media_settings.waiting_recheck is
    'How often a row that waits for another one checks that the other is still at work.';
comment on column public.media_settings.object_cache_control is
    'Cache-Control of stored objects, whose content never changes.';

create table public.media_buckets (
    bucket_name text primary key check (bucket_name ~ '^[a-z0-9][a-z0-9_-]*$'),
    media_types text[] not null check (cardinality(media_types) > 0),
    is_public boolean not null,
    file_size_limit bigint not null default 52428800 check (file_size_limit > 0)
);
insert into public.media_buckets (bucket_name, media_types, is_public) values
    ('images', '{image,sticker}', true),
    ('audio', '{audio}', false),
    ('videos', '{video}', false),
    ('documents', '{document}', false);
comment on table public.media_buckets is 'Which WhatsApp media types are stored in which bucket, and up to which size in bytes.';

create table public.media_formats (
    mime_type text primary key check (mime_type = lower(mime_type) and mime_type !~ '[; ]'),
    media_type text not null,
    extension text not null check (extension ~ '^[a-z0-9]+$'),
    arrives_as text[] not null check (media_type = any (arrives_as)),
    aliases text[] not null default '{}'
);
insert into public.media_formats (mime_type, media_type, extension, arrives_as, aliases) values
    ('image/jpeg', 'image', 'jpg', '{image,document}', '{image/jpg,image/pjpeg}'),
    ('image/png', 'image', 'png', '{image,document}', '{image/x-png}'),
    ('image/gif', 'image', 'gif', '{image,document}', '{}'),
    ('image/webp', 'image', 'webp', '{image,sticker,document}', '{}'),
    ('image/bmp', 'image', 'bmp', '{image,document}', '{image/x-ms-bmp,image/x-bmp}'),
    ('image/tiff', 'image', 'tiff', '{image,document}', '{image/tif}'),
    ('audio/mpeg', 'audio', 'mp3', '{audio,document}', '{audio/mp3,audio/mpeg3}'),
    ('audio/ogg', 'audio', 'ogg', '{audio,document}', '{application/ogg,audio/opus}'),
    ('audio/wav', 'audio', 'wav', '{audio,document}', '{audio/x-wav,audio/wave,audio/vnd.wave}'),
    ('audio/aac', 'audio', 'aac', '{audio,document}', '{audio/x-hx-aac-adts,audio/x-aac}'),
    ('audio/amr', 'audio', 'amr', '{audio,document}', '{audio/3gpp-amr}'),
    ('audio/mp4', 'audio', 'm4a', '{audio,document}', '{audio/x-m4a,audio/m4a}'),
    ('video/mp4', 'video', 'mp4', '{video,document}', '{video/x-m4v}'),
    ('video/webm', 'video', 'webm', '{video,document}', '{}'),
    ('video/quicktime', 'video', 'mov', '{video,document}', '{}'),
    ('video/3gpp', 'video', '3gp', '{video,document}', '{video/3gp}'),
    ('video/x-msvideo', 'video', 'avi', '{video,document}', '{video/avi,video/vnd.avi,video/msvideo}'),
    ('application/pdf', 'document', 'pdf', '{document}', '{application/x-pdf}'),
    ('text/plain', 'document', 'txt', '{document}', '{}'),
    ('application/msword', 'document', 'doc', '{document}', '{}'),
    ('application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'document', 'docx', '{document}', '{}'),
    ('application/vnd.ms-excel', 'document', 'xls', '{document}', '{}'),
    ('application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'document', 'xlsx', '{document}', '{}');
comment on table public.media_formats is 'The content types that are stored. Anything else is refused.';
comment on column public.media_formats.arrives_as is
    'WhatsApp media types this content may be sent as; it is stored in the bucket of that type.';
comment on column public.media_formats.aliases is 'Other names of the type, by senders and by detectors.';

create table public.media_failure_rules (
    id smallint generated always as identity primary key,
    source text not null check (source in ('whatsapp', 'storage', 'poller')),
    provider_code text,
    http_status int4range,
    action text not null check (action in ('retry', 'final', 'pause')),
    failure_code text not null,
    pause_for interval check ((action = 'pause') = (pause_for is not null)),
    unique nulls not distinct (source, provider_code, http_status)
);
insert into public.media_failure_rules (source, provider_code, http_status, action, failure_code, pause_for) values
    ('whatsapp', '0', null, 'pause', 'whatsapp_token_refused', '5 minutes'),
    ('whatsapp', '190', null, 'pause', 'whatsapp_token_refused', '5 minutes'),
    ('whatsapp', '3', null, 'pause', 'whatsapp_permission_lost', '15 minutes'),
    ('whatsapp', '10', null, 'pause', 'whatsapp_permission_lost', '15 minutes'),
    ('whatsapp', '131005', null, 'pause', 'whatsapp_permission_lost', '15 minutes'),
    ('whatsapp', '4', null, 'pause', 'whatsapp_rate_limited', '1 minute'),
    ('whatsapp', '80007', null, 'pause', 'whatsapp_rate_limited', '1 minute'),
    ('whatsapp', '130429', null, 'pause', 'whatsapp_rate_limited', '1 minute'),
    ('whatsapp', '131056', null, 'pause', 'whatsapp_rate_limited', '1 minute'),
    ('whatsapp', '2', null, 'retry', 'whatsapp_unavailable', null),
    ('whatsapp', '131000', null, 'retry', 'whatsapp_unavailable', null),
    ('whatsapp', '131016', null, 'retry', 'whatsapp_unavailable', null),
    ('whatsapp', '131057', null, 'retry', 'whatsapp_unavailable', null),
    ('whatsapp', '100', null, 'final', 'media_expired_or_foreign', null),
    ('whatsapp', '131051', null, 'final', 'message_type_unsupported', null),
    ('whatsapp', '131052', null, 'final', 'media_lost_by_whatsapp', null),
    ('whatsapp', 'unsafe_url', null, 'final', 'unsafe_url', null),
    ('whatsapp', 'network', null, 'retry', 'whatsapp_unreachable', null),
    ('whatsapp', 'truncated', null, 'retry', 'download_truncated', null),
    ('whatsapp', null, '[401,402)', 'pause', 'whatsapp_token_refused', '5 minutes'),
    ('whatsapp', null, '[403,404)', 'pause', 'whatsapp_permission_lost', '15 minutes'),
    ('whatsapp', null, '[404,405)', 'retry', 'media_url_expired', null),
    ('whatsapp', null, '[429,430)', 'pause', 'whatsapp_rate_limited', '1 minute'),
    ('whatsapp', null, '[500,600)', 'retry', 'whatsapp_unavailable', null),
    ('whatsapp', null, null, 'retry', 'whatsapp_answer_unexpected', null),
    ('storage', 'NoSuchBucket', null, 'pause', 'bucket_missing', '1 minute'),
    ('storage', 'InvalidKey', null, 'final', 'storage_path_refused', null),
    ('storage', 'network', null, 'retry', 'storage_unreachable', null),
    ('storage', null, '[401,402)', 'pause', 'storage_key_refused', '5 minutes'),
    ('storage', null, '[403,404)', 'pause', 'storage_key_refused', '5 minutes'),
    ('storage', null, '[413,414)', 'final', 'storage_size_refused', null),
    ('storage', null, '[415,416)', 'final', 'storage_type_refused', null),
    ('storage', null, '[429,430)', 'pause', 'storage_rate_limited', '30 seconds'),
    ('storage', null, '[503,504)', 'pause', 'storage_unavailable', '30 seconds'),
    ('storage', null, null, 'retry', 'storage_failed', null),
    ('poller', 'spool_full', null, 'pause', 'spool_full', '1 minute'),
    ('poller', 'check_failed', null, 'retry', 'content_check_failed', null),
    ('poller', null, null, 'retry', 'poller_failed', null);
insert into public.media_failure_rules (source, provider_code, action, failure_code, pause_for)
select 'whatsapp', code::text, 'pause', 'whatsapp_permission_lost', interval '15 minutes'
from generate_series(200, 299) code;
comment on table public.media_failure_rules is
    'What a reported failure means. The provider''s own code decides before the HTTP status; the row with neither catches the rest.';
comment on column public.media_failure_rules.action is
    'retry: again with backoff; final: a dead letter; pause: the whole fleet leaves the source alone, no attempt spent.';
