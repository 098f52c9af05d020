set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_settings alter column refusals_per_hour set default 20;
update public.media_settings set refusals_per_hour = 20 where refusals_per_hour = 17;
