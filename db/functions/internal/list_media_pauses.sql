-- The sources that are left alone, and those whose pause has ended and that still have to prove
-- themselves with one job.

create or replace function public.list_media_pauses()
returns json
language sql
stable
set search_path = ''
as $$
    select coalesce(json_agg(json_build_object(
        'scope', p.scope,
        'reason', p.reason,
        'detail', p.detail,
        'strikes', p.strikes,
        'paused_at', p.paused_at,
        'until', p.until,
        'state', case when p.until > now() then 'paused' else 'probing' end
    ) order by p.scope), '[]')
    from public.media_pauses p;
$$;

comment on function public.list_media_pauses is
    'A JSON array of {scope, reason, detail, strikes, paused_at, until, state}; state is paused, or probing when the pause has ended and one job tries.';
