-- squawk-ignore-file ban-drop-table, ban-drop-constraint
-- Drop what pgmedia created; of adopted tables, only what was added to them.

set local lock_timeout = '5s';
set local statement_timeout = '10min';

do $$
declare
    a record;
    v_column text;
begin
    for a in select t.* from public.media_adopted_tables t loop
        foreach v_column in array a.added_columns loop
            execute format('alter table public.%I drop column %I', a.table_name, v_column);
        end loop;
    end loop;
    alter table public.media drop constraint if exists pgmedia_media_message_id_whatsapp_media_id_key;
    alter table public.media drop constraint if exists pgmedia_media_message_id_fkey;
    alter table public.messages drop constraint if exists pgmedia_messages_whatsapp_message_id_key;
    drop index if exists public.pgmedia_media_object_id_idx;
    if not exists (select from public.media_adopted_tables t where t.table_name = 'media') then
        drop table public.media;
    end if;
    if not exists (select from public.media_adopted_tables t where t.table_name = 'messages') then
        drop table public.messages;
    end if;
end $$;

drop table public.media_adopted_tables;

-- A role goes with the last database that uses it.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['media_client', 'media_poller', 'media_admin'] loop
        execute format('revoke all on schema public from %I', v_role);
        begin
            execute format('drop role %I', v_role);
        exception when dependent_objects_still_exist then
            raise notice 'role % stays: another database of this server uses it', v_role;
        end;
    end loop;
end $$;
