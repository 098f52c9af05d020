-- squawk-ignore-file constraint-missing-not-valid
-- What the content check found is kept, and what to do about it is a row.
-- depends: 0008.serve-media-urls

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
begin
    if to_regclass('public.media_content_rules') is not null then
        raise exception 'cannot install pgmedia: schema public already has media_content_rules'
            using errcode = 'MD030', hint = 'Rename this relation, then migrate again.';
    end if;
end $$;

create table public.media_content_rules (
    id smallint generated always as identity primary key,
    finding text not null unique,
    action text not null check (action in ('refuse', 'accept')),
    failure_code text not null,
    explanation text not null
);
insert into public.media_content_rules (finding, action, failure_code, explanation) values
    ('text/html', 'refuse', 'active_content', 'it is HTML, which a browser would run'),
    ('application/xhtml+xml', 'refuse', 'active_content', 'it is HTML, which a browser would run'),
    ('image/svg+xml', 'refuse', 'active_content', 'it is SVG, which a browser would run'),
    ('text/xml', 'refuse', 'active_content', 'it is XML, which a browser may run'),
    ('text/x-*', 'refuse', 'active_content', 'it is the text of a program'),
    ('text/javascript', 'refuse', 'active_content', 'it is the text of a program'),
    ('application/javascript', 'refuse', 'active_content', 'it is the text of a program'),
    ('application/x-wine-extension-ini', 'refuse', 'active_content', 'it is a file that Windows acts upon'),
    ('application/x-mswinurl', 'refuse', 'active_content', 'it is a file that Windows acts upon'),
    ('application/x-ms-shortcut', 'refuse', 'active_content', 'it is a file that Windows acts upon'),
    ('application/x-dosexec', 'refuse', 'executable', 'it is a program'),
    ('application/vnd.microsoft.portable-executable', 'refuse', 'executable', 'it is a program'),
    ('application/x-msdos-program', 'refuse', 'executable', 'it is a program'),
    ('application/x-executable', 'refuse', 'executable', 'it is a program'),
    ('application/x-pie-executable', 'refuse', 'executable', 'it is a program'),
    ('application/x-sharedlib', 'refuse', 'executable', 'it is a program'),
    ('application/x-object', 'refuse', 'executable', 'it is a program'),
    ('application/x-mach-binary', 'refuse', 'executable', 'it is a program'),
    ('application/x-msi', 'refuse', 'executable', 'it installs a program'),
    ('application/java-archive', 'refuse', 'executable', 'it is a program'),
    ('application/x-java-applet', 'refuse', 'executable', 'it is a program'),
    ('application/vnd.android.package-archive', 'refuse', 'executable', 'it is a program'),
    ('application/zip', 'refuse', 'archive', 'it is an archive'),
    ('application/x-rar', 'refuse', 'archive', 'it is an archive'),
    ('application/vnd.rar', 'refuse', 'archive', 'it is an archive'),
    ('application/x-7z-compressed', 'refuse', 'archive', 'it is an archive'),
    ('application/gzip', 'refuse', 'archive', 'it is an archive'),
    ('application/x-gzip', 'refuse', 'archive', 'it is an archive'),
    ('application/x-bzip2', 'refuse', 'archive', 'it is an archive'),
    ('application/x-xz', 'refuse', 'archive', 'it is an archive'),
    ('application/zstd', 'refuse', 'archive', 'it is an archive'),
    ('application/x-tar', 'refuse', 'archive', 'it is an archive'),
    ('application/vnd.ms-cab-compressed', 'refuse', 'archive', 'it is an archive'),
    ('application/x-iso9660-image', 'refuse', 'archive', 'it is an archive'),
    ('bomb', 'refuse', 'decompression_bomb', 'it would unpack to far more than it is'),
    ('html', 'refuse', 'active_content', 'there is HTML in it, which a browser may run'),
    ('script', 'refuse', 'active_content', 'there is the text of a program in it'),
    ('pdf', 'refuse', 'polyglot', 'it is a PDF as well'),
    ('archive', 'refuse', 'polyglot', 'there is an archive in it'),
    ('macros', 'refuse', 'macros', 'there are macros in it'),
    ('remote_template', 'refuse', 'active_content', 'it loads a template from another place when it is opened'),
    ('xml_entities', 'refuse', 'active_content', 'there are XML entities in it, which Office never writes'),
    ('pdf_launch', 'refuse', 'active_content', 'it starts a program when it is opened'),
    ('undecodable', 'refuse', 'damaged_file', 'it is not text'),
    ('truncated', 'refuse', 'damaged_file', 'it ends too early'),
    ('damaged', 'refuse', 'damaged_file', 'it is damaged'),
    ('encrypted', 'accept', 'encrypted', 'it is encrypted, so that nobody sees what is in it'),
    ('pdf_script', 'accept', 'active_content', 'there is JavaScript in it, as in forms'),
    ('attachments', 'accept', 'attachments', 'other files are attached to it'),
    ('embedded', 'accept', 'attachments', 'other files are embedded in it');
comment on table public.media_content_rules is
    'What to do with content in which something was found. Of several findings that are refused, the one with the lowest id is the reason.';
comment on column public.media_content_rules.finding is
    'A content type, which may end in * for all that begin so, or a flag of the content check.';
comment on column public.media_content_rules.action is
    'refuse: a dead letter with this code and explanation; accept: stored, and the finding kept in media_objects.checks.';

alter table public.media_objects add column checks jsonb;
comment on column public.media_objects.checks is
    'What the content check found: type, size in pixels, tracks, pages, flags; null for content stored before there was one.';

alter table public.media_settings
    add column image_pixels_most integer not null default 50000000
        check (image_pixels_most between 1 and 100000000);
comment on column public.media_settings.image_pixels_most is
    'Images of more pixels (width times height) are refused: a small file of them can take any memory to show.';

alter table public.media_formats
    add column declared_as text not null default 'any'
        check (declared_as in ('any', 'family', 'same')),
    add column encrypted_type text;
comment on column public.media_formats.declared_as is
    'Which declared types bytes of this format may come under: any (they are stored as what they are), family (a format of the same media type) or same. A file without a declared type may always come.';
comment on column public.media_formats.encrypted_type is
    'The type that an encrypted file of this format shows; which format it is, only the declared type tells.';
update public.media_formats f
set encrypted_type = 'application/encrypted'
where f.mime_type like 'application/vnd.openxmlformats-officedocument.%';
-- libmagic guesses what a text is about; these are plain texts to everyone else
update public.media_formats f
set aliases = f.aliases || array(
    select a.name
    from unnest(array[
        'text/csv', 'text/tab-separated-values', 'application/csv', 'application/json', 'application/x-ndjson', 'text/calendar',
        'text/vcard', 'text/x-vcard', 'text/vtt', 'application/x-subrip', 'text/troff', 'text/x-c',
        'text/x-c++', 'text/x-java', 'text/x-tex', 'text/x-diff', 'text/x-po', 'text/x-asm', 'text/x-lisp',
        'text/x-algol68', 'text/x-fortran', 'text/x-pascal', 'text/x-objective-c', 'text/x-m4',
        'text/x-makefile', 'text/x-info', 'text/x-bcpl', 'text/x-forth', 'text/x-modula3', 'message/rfc822', 'message/news'
    ]) with ordinality a (name, nr)
    where a.name <> all (f.aliases)
        and not exists (select from public.media_formats o where o.mime_type = a.name or a.name = any (o.aliases))
    order by a.nr)
where f.mime_type = 'text/plain';

do $$
declare
    v_role text;
begin
    foreach v_role in array array['public', 'anon', 'authenticated', 'service_role'] loop
        if v_role = 'public' or to_regrole(v_role) is not null then
            execute format('revoke all on public.media_content_rules from %s', v_role);
            execute format('revoke all on sequence public.media_content_rules_id_seq from %s', v_role);
        end if;
    end loop;
    alter table public.media_content_rules enable row level security;
    grant select on public.media_content_rules to media_admin;
    create policy pgmedia_admin_reads on public.media_content_rules for select to media_admin using (true);
end $$;
