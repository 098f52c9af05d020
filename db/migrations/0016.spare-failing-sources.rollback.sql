-- squawk-ignore-file ban-drop-column
set local lock_timeout = '5s';
set local statement_timeout = '10min';

delete from public.media_failure_rules r
where (r.provider_code, r.failure_code) = ('InvalidBucketName', 'bucket_missing')
    or r.failure_code = 'storage_unavailable' and r.http_status in ('[502,503)', '[504,505)', '[520,531)');
alter table public.media_settings drop column whatsapp_keeps;
