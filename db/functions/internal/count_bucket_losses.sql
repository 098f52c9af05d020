-- Stored objects whose rows are gone, by bucket. An object that is given up in the usual way is no
-- longer stored when its row goes, so it is not counted twice.

create or replace function public.count_bucket_losses()
returns trigger
language plpgsql
volatile
security definer -- fires for whoever deletes objects, with no rights on these tables
set search_path = ''
as $$
begin
    insert into public.media_bucket_deltas (bucket_name, objects, bytes)
    select o.bucket_name, -count(*), -sum(o.stored_size)
    from earlier o
    where o.state = 'stored'
    group by o.bucket_name;
    return null;
end;
$$;

comment on function public.count_bucket_losses is
    'Trigger: note how many stored objects and bytes went with deleted rows, by bucket.';

create or replace trigger count_bucket_losses
after delete on public.media_objects
referencing old table as earlier
for each statement execute function public.count_bucket_losses();
