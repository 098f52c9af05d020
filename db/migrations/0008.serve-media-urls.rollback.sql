-- squawk-ignore-file ban-drop-column

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_settings drop column url_expires_most, drop column url_expires;
alter table public.media_formats drop column other_extensions, drop column served_inline;
