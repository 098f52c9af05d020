-- WhatsApp refused a request of a number. When the hour's limit is reached, the number is left alone.

create or replace function public.count_media_refusal(p_source text, p_denied boolean)
returns void
language sql
volatile
set search_path = ''
as $$
    insert into public.media_sources as m (source, refused_at, denied_at)
    values (p_source, array[now()], case when p_denied then clock_timestamp() end)
    on conflict (source) do update
    set
        refused_at = array(
            select t.at from unnest(m.refused_at) t (at) where t.at > now() - interval '1 hour' order by t.at
        ) || now(),
        denied_at = coalesce(excluded.denied_at, m.denied_at);

    select public.pause_spent_sources(array[p_source]);
$$;

comment on function public.count_media_refusal is
    'Remember that WhatsApp refused a request of this number, p_denied: for a reason that is the number''s and not the file''s; pause it when media_settings.refusals_per_hour are spent.';
