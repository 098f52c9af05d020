set local lock_timeout = '5s';
set local statement_timeout = '10min';

delete from public.media_content_rules r
where r.finding in ('remote_object', 'dde', 'activex', 'program');
