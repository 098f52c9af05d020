-- squawk-ignore-file require-concurrent-index-deletion

set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop index public.media_audit_log_failed_idx, public.media_queue_failed_idx;
