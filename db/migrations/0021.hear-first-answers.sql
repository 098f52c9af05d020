-- What WhatsApp has answered about a file is known of the attempt: a poller that dies after it leaves
-- no request of which nobody knows whether it was refused.
-- depends: 0017.count-unheard-requests

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_processing_queue add column source_answered boolean not null default false;
comment on column public.media_processing_queue.source_answered is
    'In this attempt WhatsApp has said what the file is.';
comment on table public.media_unheard_requests is
    'Attempts that ended before WhatsApp had answered anything their poller could tell of, so that it may have refused their request: each counts as refused for an hour, unless the number answers another request meanwhile and is known to have refused none. It outlives the attachment, so there is no foreign key.';
