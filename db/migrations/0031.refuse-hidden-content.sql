-- What Office files fetch or start by themselves when they are opened, besides macros and templates.
-- depends: 0028.report-storage-growth

set local lock_timeout = '5s';
set local statement_timeout = '10min';

insert into public.media_content_rules (finding, action, failure_code, explanation) values
    ('remote_object', 'refuse', 'active_content', 'it loads an object from another place when it is opened'),
    ('dde', 'refuse', 'active_content', 'it has another program started for its data (DDE)'),
    ('activex', 'refuse', 'active_content', 'there are ActiveX controls in it'),
    ('program', 'refuse', 'executable', 'there is a program in it')
on conflict (finding) do nothing; -- an operator's own rule stays
