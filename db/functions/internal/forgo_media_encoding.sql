-- Storage does not take the type that content was encoded as: the next attempt stores it as it came.

create or replace function public.forgo_media_encoding(p_leader_id uuid, p_problem text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
begin
    update public.media_objects o
    set encoding = o.encoding || jsonb_build_object('problem', p_problem, 'refused_by', 'storage')
    where o.leader_id = p_leader_id
        and o.state = 'uploading'
        and o.stored_type is not null
        and o.encoding ? 'codec';
    return found;
end;
$$;

comment on function public.forgo_media_encoding is
    'Have the content that this attachment leads stored without the codec next time, for this reason. False where that would change nothing: it has the type that it came with.';
