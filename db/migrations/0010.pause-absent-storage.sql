-- Failures of Storage and of the spool in which no file has a part: they pause, and spend no attempt.
--
-- A server that is not there, one that is not Storage (a wrong URL: a redirect, a page with HTTP 200,
-- "not found" without a bucket's code), one that calls every request wrong, and a spool that loses what
-- it held. A connection that breaks, a timeout and HTML 502 stay a retry: a file may have its part.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

insert into public.media_failure_rules (source, provider_code, http_status, action, failure_code, pause_for) values
    ('storage', 'unreachable', null, 'pause', 'storage_absent', '10 seconds'),
    ('storage', 'InvalidRequest', null, 'pause', 'storage_answer_unexpected', '1 minute'),
    ('storage', null, '[200,400)', 'pause', 'storage_answer_unexpected', '1 minute'),
    ('storage', null, '[404,406)', 'pause', 'storage_answer_unexpected', '1 minute'),
    ('poller', 'spool_lost', null, 'pause', 'spool_lost', '1 minute')
on conflict (source, provider_code, http_status) do nothing; -- an operator's own rule stays
