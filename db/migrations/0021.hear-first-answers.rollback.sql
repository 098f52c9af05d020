-- squawk-ignore-file ban-drop-column

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_processing_queue drop column source_answered;
comment on table public.media_unheard_requests is
    'Attempts that ended without a word of their poller, so that WhatsApp may have refused their request: each counts as refused for an hour, unless the attachment is handed out after all. It outlives the attachment, so there is no foreign key.';
