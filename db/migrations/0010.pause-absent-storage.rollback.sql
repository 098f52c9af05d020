set local lock_timeout = '5s';
set local statement_timeout = '10min';

delete from public.media_failure_rules r
where r.failure_code in ('storage_absent', 'storage_answer_unexpected', 'spool_lost');
