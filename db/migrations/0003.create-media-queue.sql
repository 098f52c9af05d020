-- squawk-ignore-file require-concurrent-index-creation
-- The objects in storage, and the work: to fetch, to wait, to remove.
-- depends: 0002.create-media-policy

set local lock_timeout = '5s';
set local statement_timeout = '10min';

create table public.media_objects (
    id uuid primary key default gen_random_uuid(),
    content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
    is_public boolean not null,
    state text not null default 'uploading' check (state in ('uploading', 'stored', 'deleting')),
    leader_id uuid,
    file_size bigint check (file_size > 0),
    stored_hash text check (stored_hash ~ '^[0-9a-f]{64}$'),
    stored_size bigint check (stored_size > 0),
    mime_type text,
    bucket_name text references public.media_buckets (bucket_name),
    storage_path text,
    created_at timestamptz not null default now(),
    stored_at timestamptz,
    constraint media_objects_path_key unique (bucket_name, storage_path),
    check ((state = 'uploading') = (leader_id is not null)),
    check ((bucket_name is null) = (storage_path is null)),
    check (state = 'uploading' or num_nulls(
        file_size, stored_hash, stored_size, mime_type, bucket_name, storage_path, stored_at) = 0)
);
create unique index media_objects_content_key on public.media_objects (content_hash, is_public)
    where state <> 'deleting';
create index media_objects_leader_idx on public.media_objects (leader_id) where leader_id is not null;
create index media_objects_deleting_idx on public.media_objects (content_hash) where state = 'deleting';
comment on table public.media_objects is
    'One row per distinct content in storage. A row in state uploading is the reservation that makes uploads of one content exclusive.';
comment on column public.media_objects.content_hash is 'SHA-256 of the received bytes, lowercase hex.';
comment on column public.media_objects.is_public is
    'Content is shared only among attachments of the same visibility: what was sent as a private document never gets a public URL because somebody also sent it as an image.';
comment on column public.media_objects.leader_id is 'The attachment whose poller uploads; the others wait for it.';
comment on column public.media_objects.stored_hash is 'SHA-256 of the bytes in storage, lowercase hex.';

alter table public.media
    add constraint pgmedia_media_object_id_fkey
    foreign key (object_id) references public.media_objects (id) not valid;

create table public.media_sources (
    source text primary key,
    refused_at timestamptz[] not null default '{}'
);
comment on table public.media_sources is
    'One row per phone number that media came from. Its lock makes the claims of one number take turns, so that its limit holds.';
comment on column public.media_sources.refused_at is 'When WhatsApp refused a request of this number, over the last hour.';

create table public.media_processing_queue (
    id uuid primary key references public.media (id) on delete cascade,
    message_id uuid not null,
    whatsapp_media_id text not null,
    source text not null check (source like 'whatsapp:%'),
    status text not null default 'pending'
        check (status in ('pending', 'processing', 'waiting', 'failed', 'cancelled')),
    priority smallint not null default 5 check (priority between 1 and 10),
    due_at timestamptz not null default now(),
    attempts smallint not null default 0 check (attempts >= 0),
    max_attempts smallint not null check (max_attempts > 0),
    pauses smallint not null default 0,
    fencing_token integer not null default 0,
    claimed_by text,
    lease_until timestamptz,
    content_hash text check (content_hash ~ '^[0-9a-f]{64}$'),
    waiting_for uuid,
    last_error_code text,
    last_error_text text,
    queued_at timestamptz not null default now(),
    check (attempts <= max_attempts),
    check ((status = 'processing') = (claimed_by is not null)),
    check ((status = 'processing') = (lease_until is not null)),
    check ((status = 'waiting') = (waiting_for is not null)),
    check (waiting_for <> id),
    check (status <> 'waiting' or content_hash is not null),
    check (status <> 'processing' or attempts > 0),
    check (status not in ('failed', 'cancelled') or last_error_code is not null)
) with (
    fillfactor = 70, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0,
    autovacuum_analyze_threshold = 1000, autovacuum_analyze_scale_factor = 0
);
create index media_queue_due_idx on public.media_processing_queue (source, priority, due_at, id)
    where status = 'pending';
create index media_queue_claimed_idx on public.media_processing_queue (source)
    where status = 'processing';
create index media_queue_waiting_idx on public.media_processing_queue (waiting_for)
    where status = 'waiting';
create index media_queue_recheck_idx on public.media_processing_queue (due_at)
    where status = 'waiting';
create index media_queue_content_idx on public.media_processing_queue (content_hash)
    where status in ('pending', 'processing') and content_hash is not null;
comment on table public.media_processing_queue is
    'Attachments with work to do, and dead letters. Finished work leaves in the transaction that records the result.';
comment on column public.media_processing_queue.source is
    'The pause scope this row belongs to: whatsapp:<phone number id>.';
comment on column public.media_processing_queue.due_at is
    'pending: do not start before this. waiting: look again at the leader after this.';
comment on column public.media_processing_queue.attempts is
    'Attempts spent. A claim spends one; a release, a pause and a join give it back.';
comment on column public.media_processing_queue.pauses is
    'Pauses that began with this row while its source worked for others. At max_attempts it is the row that is at fault.';
comment on column public.media_processing_queue.fencing_token is
    'Grows with every claim and never falls. A write that brings an older one changes nothing.';
comment on column public.media_processing_queue.waiting_for is
    'The attachment of the same content that is being fetched for both.';

create table public.media_deletion_queue (
    id uuid primary key default gen_random_uuid(),
    object_id uuid references public.media_objects (id),
    bucket_name text not null,
    storage_path text not null,
    reason text not null,
    status text not null default 'pending' check (status in ('pending', 'processing')),
    due_at timestamptz not null default now(),
    attempts smallint not null default 0,
    fencing_token integer not null default 0,
    claimed_by text,
    lease_until timestamptz,
    last_error_code text,
    last_error_text text,
    queued_at timestamptz not null default now(),
    constraint media_deletion_queue_path_key unique (bucket_name, storage_path),
    check ((status = 'processing') = (claimed_by is not null)),
    check ((status = 'processing') = (lease_until is not null))
);
create index media_deletion_queue_due_idx on public.media_deletion_queue (due_at, id)
    where status = 'pending';
create index media_deletion_queue_claimed_idx on public.media_deletion_queue (claimed_by)
    where status = 'processing';
create unique index media_deletion_queue_object_key on public.media_deletion_queue (object_id)
    where object_id is not null;
comment on table public.media_deletion_queue is
    'Files to remove from storage. Never given up: a file nobody removes is a leak.';

create table public.media_pollers (
    poller text primary key,
    version text not null,
    mode text not null check (mode in ('listen', 'poll')),
    in_flight integer not null default 0,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);
comment on table public.media_pollers is 'Pollers at work; one not seen for five leases is forgotten.';

create table public.media_pauses (
    scope text primary key check (scope = 'storage' or scope like 'whatsapp:%' or scope like 'poller:%'),
    reason text not null,
    detail text,
    strikes smallint not null default 1,
    paused_at timestamptz not null default now(),
    until timestamptz not null
);
comment on table public.media_pauses is
    'Sources the whole fleet leaves alone until the given time. After it one job probes; its success removes the row, its failure makes the next pause longer.';
comment on column public.media_pauses.strikes is 'How many pauses in a row, without a success between them.';
