-- Where to begin among the pending jobs of a source; at the very beginning once the mark has ended.

create or replace function public.get_due_from(p_source public.media_sources, p_priority integer)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
    return case when p_source.due_from_until > now() then p_source.due_from[p_priority] else '-infinity' end;
end;
$$;

comment on function public.get_due_from is
    'From which due_at on the pending jobs of a source and priority are to be looked at.';
