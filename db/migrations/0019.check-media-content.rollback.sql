-- squawk-ignore-file ban-drop-table, ban-drop-column
-- What was refused stays refused.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

update public.media_formats f
set aliases = array(
    select a.name
    from unnest(f.aliases) with ordinality a (name, nr)
    where a.name <> all (array[
        'text/csv', 'text/tab-separated-values', 'application/csv', 'application/json', 'application/x-ndjson', 'text/calendar',
        'text/vcard', 'text/x-vcard', 'text/vtt', 'application/x-subrip', 'text/troff', 'text/x-c',
        'text/x-c++', 'text/x-java', 'text/x-tex', 'text/x-diff', 'text/x-po', 'text/x-asm', 'text/x-lisp',
        'text/x-algol68', 'text/x-fortran', 'text/x-pascal', 'text/x-objective-c', 'text/x-m4',
        'text/x-makefile', 'text/x-info', 'text/x-bcpl', 'text/x-forth', 'text/x-modula3', 'message/rfc822', 'message/news'
    ])
    order by a.nr)
where f.mime_type = 'text/plain';
alter table public.media_formats drop column encrypted_type, drop column declared_as;
alter table public.media_settings drop column image_pixels_most;
alter table public.media_objects drop column checks;
drop table public.media_content_rules;
