-- squawk-ignore-file ban-drop-view, ban-drop-table, ban-drop-function

set local lock_timeout = '5s';
set local statement_timeout = '10min';

drop view public.media_failures; -- a column cannot be taken from a view

create view public.media_failures with (security_invoker = false) as
select -- text also where a bot's own media table has other types
    m.failure_code::text as failure_code,
    m.media_type::text as media_type,
    count(*) as files,
    min(m.failed_at) as first_at,
    max(m.failed_at) as last_at,
    (array_agg(m.failure_text::text order by m.failed_at desc))[1] as last_text
from public.media_processing_queue q
join public.media m on m.id = q.id
where q.status = 'failed'
group by m.failure_code, m.media_type;
comment on view public.media_failures is
    'Dead letters by reason and media type. retry_failed_media(code) queues those of a reason again.';
grant select on public.media_failures to media_admin, media_reader;
drop function if exists public.explain_media_failure(text);
drop table public.media_failure_codes;
