-- Sources that are asked in vain: a gateway that has lost Storage behind it, a bucket of no usable name,
-- and WhatsApp for files that it keeps no longer.
--
-- What a gateway says by 502, 504 and 520 to 530 is about Storage, not about the file: it pauses, and
-- spends no attempt. A file that has its part all the same is told by media_processing_queue.pauses.
-- Storage's own 500 and 544 stay a retry, as do a connection that breaks and silence.
-- depends: 0006.create-webhook-tables

set local lock_timeout = '5s';
set local statement_timeout = '10min';

insert into public.media_failure_rules (source, provider_code, http_status, action, failure_code, pause_for) values
    ('storage', 'InvalidBucketName', null, 'pause', 'bucket_missing', '1 minute'),
    ('storage', null, '[502,503)', 'pause', 'storage_unavailable', '30 seconds'),
    ('storage', null, '[504,505)', 'pause', 'storage_unavailable', '30 seconds'),
    ('storage', null, '[520,531)', 'pause', 'storage_unavailable', '30 seconds')
on conflict (source, provider_code, http_status) do nothing; -- an operator's own rule stays

alter table public.media_settings
    add column whatsapp_keeps interval not null default '7 days'
        constraint media_settings_whatsapp_keeps_check check (whatsapp_keeps > '0 seconds');
comment on column public.media_settings.whatsapp_keeps is
    'How long WhatsApp hands out a file by its media id. pgmedia reconcile --fix does not ask for older ones.';
