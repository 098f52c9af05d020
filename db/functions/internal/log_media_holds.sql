-- Holds and their ends are in the audit trail, however they were made: by hold_media or plain SQL.

create or replace function public.log_media_holds()
returns trigger
language plpgsql
volatile
security definer -- fires for whoever changes holds, with no rights on the audit trail
set search_path = ''
as $$
begin
    if tg_op = 'DELETE' then
        perform public.log_operator_action(old.media_id, 'hold released', jsonb_build_object('reason', old.reason));
    else
        perform public.log_operator_action(new.media_id, 'held', jsonb_build_object('reason', new.reason));
    end if;
    return null;
end;
$$;

comment on function public.log_media_holds is
    'Trigger: note in the audit trail which attachment was held or released, why and by whom.';

create or replace trigger log_media_holds
after insert or update or delete on public.media_holds
for each row execute function public.log_media_holds();
