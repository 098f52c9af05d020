-- squawk-ignore-file require-concurrent-index-creation
-- What an operator looks at first, found without reading all of the audit trail or of the queue.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

create index media_audit_log_failed_idx on public.media_audit_log (id) where event = 'failed';
create index media_queue_failed_idx on public.media_processing_queue (last_error_code) where status = 'failed';
