-- What died last, whatever became of it since.

create or replace function public.list_last_failures(p_limit integer)
returns json
language sql
stable
set search_path = ''
as $$
    select coalesce(json_agg(json_build_object(
        'id', a.media_id,
        'at', a.at,
        'code', a.detail ->> 'code',
        'text', left(a.detail ->> 'text', 300)
    ) order by a.id desc), '[]')
    from (
        select l.id, l.media_id, l.at, l.detail
        from public.media_audit_log l
        where l.event = 'failed'
        order by l.id desc
        limit p_limit
    ) a;
$$;

comment on function public.list_last_failures is
    'A JSON array of {id (of the attachment), at, code, text} of the last p_limit failures, newest first.';
