-- Objects that came to storage or are given up, by bucket. A trigger, so that the totals are those of
-- the rows whichever function changed them.

create or replace function public.count_bucket_changes()
returns trigger
language plpgsql
volatile
security definer -- fires for whoever changes objects, with no rights on these tables
set search_path = ''
as $$
begin
    insert into public.media_bucket_deltas (bucket_name, objects, bytes)
    select c.bucket_name, sum(c.sign), sum(c.sign * c.stored_size)
    from (
        select o.bucket_name, o.stored_size, -1 as sign from earlier o where o.state = 'stored'
        union all
        select o.bucket_name, o.stored_size, 1 from later o where o.state = 'stored'
    ) c
    group by c.bucket_name
    having sum(c.sign) <> 0 or sum(c.sign * c.stored_size) <> 0;
    return null;
end;
$$;

comment on function public.count_bucket_changes is
    'Trigger: note by how many objects and bytes an update changed what is stored in each bucket.';

create or replace trigger count_bucket_changes
after update on public.media_objects
referencing old table as earlier new table as later
for each statement execute function public.count_bucket_changes();
