"""What a bot's own tables may have against messages and media, as SQL."""

REFUSE_ONE = """
    create function refuse() returns trigger language plpgsql as $$
    begin
        if new.sender = 'banned' then
            raise exception 'the sender is banned' using errcode = 'BOT01';
        end if;
        return new;
    end $$;
    create trigger refuse before insert on messages for each row execute function refuse();
"""


REFUSE_SOME_MEDIA = """
    create function refuse() returns trigger language plpgsql as $$
    begin
        raise exception 'the caption is rude' using errcode = 'BOT02';
    end $$;
    create trigger refuse before insert on media
        for each row when (new.caption = 'rude') execute function refuse();
    alter table media add constraint no_empty_name check (file_name <> '');
    alter table media add constraint not_everything_is_lost check (failure_text !~ 'sender');
"""


REFUSE_AT_COMMIT = """
    create table customers (name text primary key);
    insert into customers values ('4915112345678');
    alter table messages add foreign key (sender) references customers
        deferrable initially deferred;
    create function refuse() returns trigger language plpgsql as $$
    begin
        raise exception 'the caption is rude' using errcode = 'BOT03';
    end $$;
    create constraint trigger refuse after insert on media deferrable initially deferred
        for each row when (new.caption = 'rude') execute function refuse();
"""


ASSERT_ALL = """
    create function assert_all() returns trigger language plpgsql as $$
    begin
        assert new.sender <> 'banned', 'the sender is banned';
        return new;
    end $$;
    create trigger assert_all before insert on messages
        for each row execute function assert_all();
    create function assert_polite() returns trigger language plpgsql as $$
    begin
        assert new.caption <> 'rude', 'the caption is rude';
        return new;
    end $$;
    create trigger assert_polite before insert on media
        for each row execute function assert_polite();
"""
