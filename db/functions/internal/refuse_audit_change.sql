-- The audit trail is append-only for every role, the owner included: no update and no
-- truncate. "Always": also where a session has set session_replication_role. For each row as well: by way
-- of a table that this one was made to inherit from, only those triggers fire.

create or replace function public.refuse_audit_change()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
begin
    raise exception 'media_audit_log is append-only: % refused', tg_op
        using errcode = 'MD040', hint = 'Events leave it by maintenance, when media_settings.audit_kept is over.';
end;
$$;

comment on function public.refuse_audit_change is 'Trigger: refuse to change the audit trail.';

create or replace trigger refuse_audit_change
before update or truncate on public.media_audit_log
for each statement execute function public.refuse_audit_change();
alter table public.media_audit_log enable always trigger refuse_audit_change;

create or replace trigger refuse_audit_row_change
before update on public.media_audit_log
for each row execute function public.refuse_audit_change();
alter table public.media_audit_log enable always trigger refuse_audit_row_change;
