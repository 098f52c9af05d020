-- What nobody heard of counts until the same request is seen to be granted for the same file: what a
-- number answers about one file says nothing of another.
-- depends: 0028.report-storage-growth

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_unheard_requests
    add column request text not null default 'download'
        constraint media_unheard_requests_request_check check (request in ('metadata', 'webhook url', 'download'));
comment on table public.media_unheard_requests is
    'Attempts that ended before their poller could tell what WhatsApp answered to a request, so that it may have refused it: each counts as refused for an hour, unless the same request for the same file is granted in a later attempt, and the number was denied nothing as a whole meanwhile. It outlives the attachment, so there is no foreign key.';
comment on column public.media_unheard_requests.request is
    'What may have been refused: what the media id stands for (metadata), the file at the URL that the webhook brought (webhook url), or at the URL that the metadata had (download).';

alter table public.media_sources add column denied_at timestamptz;
comment on column public.media_sources.denied_at is
    'When WhatsApp last refused a request for a reason that is the number''s and not the file''s: its token, a permission, a rate limit.';

comment on column public.media_processing_queue.source_url is
    'Where the webhook said that the file is; null once an attempt has failed with it, or its time was over at a claim.';

alter table public.media_settings alter column refusals_per_hour set default 19;
update public.media_settings set refusals_per_hour = 19 where refusals_per_hour = 17;
comment on column public.media_settings.refusals_per_hour is
    'Requests that WhatsApp may refuse to one number in an hour; it blocks numbers that it has refused 20. Every job in work may be refused, and who is killed tells nobody, so five sixths of it is also the most jobs of one number in work at once.';
