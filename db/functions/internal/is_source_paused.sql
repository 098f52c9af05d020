-- Is a source left alone just now? One whose pause has ended is not, though it still has to prove itself.

create or replace function public.is_source_paused(p_source text)
returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (select from public.media_pauses p where p.scope = p_source and p.until > now());
$$;

comment on function public.is_source_paused is 'Whether the pause of a source (a scope of media_pauses) is running.';
