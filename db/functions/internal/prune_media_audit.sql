-- Delete the oldest events of the audit trail, when they are past their time. Ids grow with time, so
-- the primary key leads to the oldest; refuse_audit_change lets nothing younger go.

create or replace function public.prune_media_audit(p_kept interval, p_limit integer default 10000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_count integer;
begin
    delete from public.media_audit_log l
    where l.id = any (array(select o.id from public.media_audit_log o order by o.id limit p_limit))
        and l.at < now() - p_kept;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;

comment on function public.prune_media_audit is
    'Delete audit events older than p_kept among the p_limit oldest; returns how many.';
