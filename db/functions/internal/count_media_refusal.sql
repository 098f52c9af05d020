-- WhatsApp refused a request of a number. When the hour's limit is reached, the number is left alone.

create or replace function public.count_media_refusal(p_source text)
returns void
language sql
volatile
set search_path = ''
as $$
    insert into public.media_sources as m (source, refused_at)
    values (p_source, array[now()])
    on conflict (source) do update
    set refused_at = array(
        select t.at from unnest(m.refused_at) t (at) where t.at > now() - interval '1 hour' order by t.at
    ) || now();

    select public.pause_spent_sources(array[p_source]);
$$;

comment on function public.count_media_refusal is
    'Remember that WhatsApp refused a request of this number; pause it when media_settings.refusals_per_hour are spent.';
