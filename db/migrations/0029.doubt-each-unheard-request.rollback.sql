-- squawk-ignore-file ban-drop-column

set local lock_timeout = '5s';
set local statement_timeout = '10min';

comment on column public.media_processing_queue.source_url is null;
alter table public.media_sources drop column denied_at;
alter table public.media_unheard_requests drop column request;
comment on table public.media_unheard_requests is
    'Attempts that ended before WhatsApp had answered anything their poller could tell of, so that it may have refused their request: each counts as refused for an hour, unless the number answers another request meanwhile and is known to have refused none. It outlives the attachment, so there is no foreign key.';
comment on column public.media_settings.refusals_per_hour is
    'Requests that WhatsApp may refuse to one number in an hour; it blocks numbers that go on. Every job in work may be refused, and who is killed tells nobody, so one less is also the most jobs of one number in work at once.';
alter table public.media_settings alter column refusals_per_hour set default 17;
update public.media_settings set refusals_per_hour = 17 where refusals_per_hour = 19;
