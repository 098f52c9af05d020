-- The media of stored messages: objects to fetch, and files that came as an error.
--
-- Where a file was meant and none can be fetched, the first error of the message tells why: that file is
-- lost, and its id is made of the error's code, so that a repeat finds it again. Every other error is
-- a problem, as is a file that was meant and is neither there nor explained. No join: how many parts
-- there are is nothing a plan could know.

create or replace function public.list_webhook_media(p_messages jsonb)
returns table (
    message_id uuid,
    source text,
    media_type text,
    media jsonb,
    whatsapp_media_id text,
    failure_code text,
    failure_text text,
    problem text
)
language plpgsql
stable
set search_path = ''
as $$
#variable_conflict use_column
begin
    return query
    with weighed as (
        select p.*,
            bool_or(p.part = 'object') over message as held,
            bool_or(p.part = 'object' and p.problem is null) over message as fetchable,
            bool_or(p.part = 'error') over message as explained,
            bool_or(p.part <> 'error' or p.code in ('131052', '131053')) over message as meant,
            min(p.media_type) over message as meant_type,
            row_number() over (partition by p.place, p.part order by p.rank) = 1 as first
        from public.list_webhook_parts(p_messages) p
        window message as (partition by p.place)
    ),
    judged as (
        select w.*, w.meant and w.explained and not w.fetchable as lost,
            w.meant and w.explained and not w.fetchable and w.part = 'error' and w.first as tells
        from weighed w
    )
    select j.message_id, j.source,
        case when j.part = 'error' then j.meant_type else j.media_type end,
        case when j.part = 'object' then j.value end,
        case when j.part = 'object' then j.value ->> 'id' when j.tells then 'error:' || j.code end,
        case when j.tells then 'whatsapp_' || j.code end,
        case when j.tells then nullif(left(concat_ws(': ', nullif(j.value ->> 'title', ''),
            coalesce(nullif(j.value #>> '{error_data,details}', ''), nullif(j.value ->> 'message', ''))), 2000), '') end,
        case when not j.tells then j.problem end
    from judged j
    where case j.part
        when 'object' then not j.lost
        when 'type' then j.first and not j.held and not j.explained
        else true
    end;
end;
$$;

comment on function public.list_webhook_media is
    'The media of messages (as list_webhook_messages gives them, an array) that are in the table messages: objects, or failures with WhatsApp''s code and text; problem says why one cannot be used, or names an error of WhatsApp that took no file.';
