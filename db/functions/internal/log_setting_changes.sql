-- Changes of settings are in the audit trail, however they were made. Secrets are in another table.

create or replace function public.log_setting_changes()
returns trigger
language plpgsql
volatile
security definer -- fires for whoever changes settings, with no rights on the audit trail
set search_path = ''
as $$
begin
    perform public.log_operator_action('00000000-0000-0000-0000-000000000000', 'setting changed',
        jsonb_build_object('name', n.key, 'old', o.value, 'new', n.value))
    from jsonb_each(to_jsonb(new)) n
    join jsonb_each(to_jsonb(old)) o on o.key = n.key
    where n.value <> o.value;
    return null;
end;
$$;

comment on function public.log_setting_changes is
    'Trigger: note in the audit trail which settings changed, from what, to what and by whom.';

create or replace trigger log_setting_changes
after update on public.media_settings
for each row execute function public.log_setting_changes();
