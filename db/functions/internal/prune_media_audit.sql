-- Delete the oldest events of the audit trail, when they are past their time; refuse_audit_deletion lets
-- nothing younger go, and nothing about held media. Ids grow with time, so the primary key leads to the
-- oldest. A call goes on behind what the one before looked at, so that what is kept for a hold holds up
-- nothing; what is released is met when it begins anew.

create or replace function public.prune_media_audit(p_kept interval, p_limit integer default 10000)
returns integer
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_ids bigint[];
    v_is_more boolean;
    v_count integer;
begin
    select array_agg(o.id), count(*) = p_limit and max(o.at) < now() - p_kept into v_ids, v_is_more
    from (
        select l.id, l.at
        from public.media_audit_log l
        where l.id > (select r.audit_pruned_to from public.media_maintenance r)
        order by l.id
        limit p_limit
    ) o;
    delete from public.media_audit_log l
    where l.id = any (v_ids)
        and l.at < now() - p_kept
        and not exists (select from public.media_holds h where h.media_id = l.media_id);
    get diagnostics v_count = row_count;
    update public.media_maintenance r
    set audit_pruned_to = case when v_is_more then (select max(x) from unnest(v_ids) x) else 0 end;
    return v_count;
end;
$$;

comment on function public.prune_media_audit is
    'Delete audit events older than p_kept, but for those of held media, among the next p_limit oldest; returns how many.';
