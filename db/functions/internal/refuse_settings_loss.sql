-- media_settings has one row, and every function reads it: how long the audit trail is kept, too. "Always":
-- also where a session has set session_replication_role. With a row that nobody can take away, the
-- primary key lets no other in.

create or replace function public.refuse_settings_loss()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
begin
    raise exception '% of media_settings refused: pgmedia cannot do without its settings', lower(tg_op)
        using errcode = 'MD042', hint = 'set_media_setting(name, null) sets one back to its default.';
end;
$$;

comment on function public.refuse_settings_loss is 'Trigger: refuse to delete the row of media_settings.';

create or replace trigger refuse_settings_loss
before delete or truncate on public.media_settings
for each statement execute function public.refuse_settings_loss();
alter table public.media_settings enable always trigger refuse_settings_loss;
