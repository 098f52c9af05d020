-- What is stored in each bucket, as far as updates change it: which they do when an object becomes
-- stored, is given up, or is rescued; whatever function changed it.

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
    from (values
        (old.bucket_name, old.stored_size, -1, old.state),
        (new.bucket_name, new.stored_size, 1, new.state)
    ) c (bucket_name, stored_size, sign, state)
    where c.state = 'stored'
    group by c.bucket_name
    having sum(c.sign) <> 0 or sum(c.sign * c.stored_size) <> 0;
    return null;
end;
$$;

comment on function public.count_bucket_changes is
    'Trigger: note by how many objects and bytes an update changed what is stored in each bucket.';

create or replace trigger count_bucket_changes
after update on public.media_objects
for each row
when (old.state = 'stored' or new.state = 'stored')
execute function public.count_bucket_changes();
