-- Refuse what run_media_cleanup cannot use, naming the value.

create or replace function public.check_cleanup_arguments(
    p_days_old integer,
    p_media_types text[],
    p_keep_accessed_days integer,
    p_at_most integer,
    p_dry_run boolean default false
)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
    v_unknown text;
begin
    if p_days_old is null or p_days_old not between 1 and 36500 then
        raise exception 'days_old is %, not 1 to 36500', coalesce(p_days_old::text, 'null')
            using errcode = 'MD022', hint = 'Pass the age in days from which media is deleted.';
    end if;
    if p_keep_accessed_days not between 1 and 36500 then
        raise exception 'keep_accessed_days is %, not 1 to 36500', p_keep_accessed_days
            using errcode = 'MD022', hint = 'Pass null when an access keeps nothing.';
    end if;
    if p_at_most is null or p_at_most < 1 then
        raise exception 'at_most is %, not 1 or more', coalesce(p_at_most::text, 'null')
            using errcode = 'MD022', hint = 'Pass how many attachments one call may delete.';
    end if;
    if p_dry_run is null then
        raise exception 'dry_run is null, not true or false'
            using errcode = 'MD022', hint = 'Pass true to try a cleanup, and false to delete.';
    end if;
    select t into v_unknown
    from unnest(p_media_types) t
    where t is null or not exists (select from public.media_buckets b where t = any (b.media_types))
    limit 1;
    if found then
        raise exception 'unknown media type %', coalesce(quote_literal(left(v_unknown, 100)), 'null')
            using errcode = 'MD011', hint = 'Use the media types of media_buckets, or null for all media.';
    end if;
end;
$$;

comment on function public.check_cleanup_arguments is
    'Raise MD022 or MD011 for an argument of run_media_cleanup that cannot be used.';
