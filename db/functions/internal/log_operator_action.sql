-- Append to the audit trail what an operator did, and who that was: the login, and the role it acted in.
-- Within functions of their owner's rights, only these two tell.

create or replace function public.log_operator_action(p_media_id uuid, p_event text, p_detail jsonb)
returns void
language sql
volatile
set search_path = ''
as $$
    select public.log_media_event(p_media_id, p_event, p_detail || jsonb_build_object(
        'by', session_user, 'role', nullif(current_setting('role'), 'none')));
$$;

comment on function public.log_operator_action is
    'Append an event with who did it, detail.by and detail.role. What is about no attachment has the id 00000000-0000-0000-0000-000000000000.';
