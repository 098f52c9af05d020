drop table public.media_failure_rules, public.media_formats, public.media_buckets, public.media_settings;
