-- The summary's errors: how often each, the 20 commonest, each cut to 200 characters.

create or replace function public.count_webhook_problems(p_problems text[])
returns json
language sql
immutable
set search_path = ''
as $$
    select coalesce(json_object_agg(p.problem, p.n order by p.problem), '{}')
    from (
        select case when r.place <= 20 then r.problem else 'other' end as problem, sum(r.n)::bigint as n
        from (
            select left(u.problem, 200) as problem, count(*) as n,
                row_number() over (order by count(*) desc, left(u.problem, 200)) as place
            from unnest(p_problems) u (problem)
            group by left(u.problem, 200)
        ) r
        group by 1
    ) p;
$$;

comment on function public.count_webhook_problems is
    '{problem: how often}, of the 20 commonest problems; the others together as "other".';
