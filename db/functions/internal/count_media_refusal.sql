-- WhatsApp refused a request of a number. When the hour's limit is reached, the number is left alone
-- until the oldest refusal is an hour old.

create or replace function public.count_media_refusal(p_source text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_refused_at timestamptz[];
begin
    insert into public.media_sources as m (source, refused_at)
    values (p_source, array[now()])
    on conflict (source) do update
    set refused_at = array(
        select t.at from unnest(m.refused_at) t (at) where t.at > now() - interval '1 hour' order by t.at
    ) || now()
    returning m.refused_at into v_refused_at;
    if cardinality(v_refused_at) >= (select s.refusals_per_hour from public.media_settings s) then
        perform public.extend_media_pause(p_source, 'whatsapp_refusals_spent',
            format('WhatsApp refused %s requests within an hour', cardinality(v_refused_at)),
            interval '0 seconds', v_refused_at[1] + interval '1 hour' - now());
    end if;
end;
$$;

comment on function public.count_media_refusal is
    'Remember that WhatsApp refused a request of this number; pause it when media_settings.refusals_per_hour are spent.';
