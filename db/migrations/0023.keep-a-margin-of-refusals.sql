-- WhatsApp blocks a number for half an hour after 20 refused requests within an hour. What nobody heard of before a poller was
-- killed is forgiven with the number's next answer, so a number that flips may come to a few more than are counted.
-- depends: 0021.hear-first-answers

set local lock_timeout = '5s';
set local statement_timeout = '10min';

alter table public.media_settings alter column refusals_per_hour set default 17;
update public.media_settings set refusals_per_hour = 17 where refusals_per_hour = 20;
