-- The audit trail is append-only for every role, the owner included: nothing is deleted from it that
-- is younger than media_settings.audit_kept (a hundred years, were there no settings), or about held media.
-- "Always": also where a session has set session_replication_role. For each row: also by way of a table
-- that this one was made to inherit from.

create or replace function public.refuse_audit_deletion()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
begin
    if old.at >= now() - coalesce((select s.audit_kept from public.media_settings s), '100 years')
        or exists (select from public.media_holds h where h.media_id = old.media_id)
    then
        raise exception 'media_audit_log is append-only: DELETE refused'
            using errcode = 'MD040', hint = 'Events leave it by maintenance, when media_settings.audit_kept is over and no hold on the media.';
    end if;
    return old;
end;
$$;

comment on function public.refuse_audit_deletion is
    'Trigger: refuse to delete from the audit trail what is not past media_settings.audit_kept, or about held media.';

create or replace trigger refuse_audit_deletion
before delete on public.media_audit_log
for each row execute function public.refuse_audit_deletion();
alter table public.media_audit_log enable always trigger refuse_audit_deletion;
