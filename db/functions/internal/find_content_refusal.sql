-- Why content is refused for what was found in it, whoever sent it: by its type, by a flag, or by the
-- number of its pixels. In plpgsql because it keeps the plans.

create or replace function public.find_content_refusal(p_mime_type text, p_checks jsonb)
returns table (code text, explanation text)
language plpgsql
stable
set search_path = ''
as $$
declare
    v_known boolean := (public.find_media_format(p_mime_type)).mime_type is not null;
    v_pixels numeric := (p_checks ->> 'width')::numeric * (p_checks ->> 'height')::numeric;
    v_most integer;
begin
    if not v_known or p_checks -> 'flags' <> '[]' then -- else no rule can match
        return query
        select r.failure_code,
            concat_ws(': ', format('the bytes are %s', p_mime_type), r.explanation, p_checks ->> 'problem')
        from public.media_content_rules r
        where r.action = 'refuse'
            and (
                p_checks -> 'flags' ? r.finding
                or not v_known
                and (r.finding = p_mime_type
                    or r.finding like '%*' and starts_with(p_mime_type, rtrim(r.finding, '*')))
            )
        order by r.id
        limit 1;
        if found then
            return;
        end if;
    end if;
    if v_pixels > 0 then
        select s.image_pixels_most into v_most from public.media_settings s;
        if v_pixels > v_most then
            code := 'too_many_pixels';
            explanation := format('an image of %s by %s pixels, %s allowed in all',
                p_checks ->> 'width', p_checks ->> 'height', v_most);
            return next;
        end if;
    end if;
end;
$$;

comment on function public.find_content_refusal is
    'The reason why content of this type is refused for what the content check found (p_checks), or no row: too_many_pixels, or the code of a row of media_content_rules. A type that a format allows is not refused for its name.';
