-- squawk-ignore-file constraint-missing-not-valid
-- How stored files are served: shown by a browser or as a download, and how long a signed URL lives.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_formats
    add column served_inline boolean not null default false,
    add column other_extensions text[] not null default '{}';
comment on column public.media_formats.served_inline is
    'A browser may show it from its URL. Everything else is served as an attachment, which it only saves.';
comment on column public.media_formats.other_extensions is
    'Further extensions that the name of a download may keep; any other name gets media_formats.extension.';
-- Formats that somebody added stay attachments until told otherwise.
update public.media_formats f
set served_inline = true, other_extensions = x.extensions
from (
    values
        ('image/jpeg', '{jpeg,jpe,jfif}'::text[]),
        ('image/png', '{}'),
        ('image/gif', '{}'),
        ('image/webp', '{}'),
        ('image/bmp', '{dib}'),
        ('image/tiff', '{tif}'),
        ('audio/mpeg', '{}'),
        ('audio/ogg', '{oga,opus}'),
        ('audio/wav', '{wave}'),
        ('audio/aac', '{}'),
        ('audio/amr', '{}'),
        ('audio/mp4', '{mp4}'),
        ('video/mp4', '{m4v}'),
        ('video/webm', '{}'),
        ('video/quicktime', '{qt}'),
        ('video/3gpp', '{3gpp}'),
        ('video/x-msvideo', '{}')
) x (mime_type, extensions)
where f.mime_type = x.mime_type;
update public.media_formats f
set other_extensions = '{text,log,md,csv}'
where f.mime_type = 'text/plain';

alter table public.media_settings
    add column url_expires interval not null default '1 hour' check (url_expires >= '1 second'),
    add column url_expires_most interval not null default '7 days',
    add constraint media_settings_url_expires_most_check
        check (url_expires_most >= url_expires and url_expires_most <= '10 years');
comment on column public.media_settings.url_expires is 'How long a signed URL works when nobody says.';
comment on column public.media_settings.url_expires_most is 'The longest that a signed URL may work.';
