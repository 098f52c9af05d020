-- Write messages or media, all or nothing. A deferred constraint counts as well: at the commit it would
-- refuse the whole call.

create or replace function public.write_webhook_rows(p_kind text, p_rows jsonb, p_check_deferred boolean)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_new jsonb;
begin
    if p_kind = 'message' then
        v_new := public.insert_webhook_messages(p_rows);
    else
        v_new := public.insert_webhook_media(p_rows);
    end if;
    if p_check_deferred then
        perform public.check_deferred_constraints();
    end if;
    return v_new;
end;
$$;

comment on function public.write_webhook_rows is
    'insert_webhook_messages for p_kind message, insert_webhook_media for media, and what deferred constraints say of it; returns what the one answers.';
