-- The store: current objects, the change log behind watches, and what coordinates the servers.
-- Text keys collate as "C": the order of lists is the order of their bytes, on every machine.

-- The store lock. Every commit takes this row FOR UPDATE before it reads anything; the row itself never changes.
CREATE TABLE store_lock (
    id smallint PRIMARY KEY CHECK (id = 1)
);
INSERT INTO store_lock VALUES (1);

-- The cluster's identity and the limits of its history. Revisions start at 2: list at "1" is the empty cluster, and "0"
-- has a meaning of its own in the Kubernetes API.
CREATE TABLE cluster (
    id smallint PRIMARY KEY CHECK (id = 1),
    uid text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    base_revision bigint NOT NULL,
    horizon bigint NOT NULL,
    system_identifier text COLLATE "C" NOT NULL,
    timeline bigint NOT NULL,
    created_at timestamptz NOT NULL
);
INSERT INTO cluster VALUES (1, gen_random_uuid()::text, 1, 1, 1, '', 0, now());

-- Each new epoch: revisions up to from_revision may have been served, none above it up to to_revision ever was.
CREATE TABLE jumps (
    epoch bigint PRIMARY KEY,
    from_revision bigint NOT NULL,
    to_revision bigint NOT NULL,
    reason text NOT NULL,
    server text NOT NULL,
    at timestamptz NOT NULL
);

-- A writer's epoch: a batch that carries an older one is refused, however late it arrives.
CREATE TABLE writers (
    writer text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    server text NOT NULL,
    changed_at timestamptz NOT NULL
);

-- One row a commit, only ever added: its greatest last_revision is the newest revision.
CREATE TABLE batches (
    last_revision bigint PRIMARY KEY,
    first_revision bigint NOT NULL,
    id uuid NOT NULL,
    writer text COLLATE "C" NOT NULL,
    committed_at timestamptz NOT NULL
);

CREATE TABLE objects (
    storage_group text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    uid text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    storage_version text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    charge jsonb,
    document json,
    sealed bytea,
    revision_offset integer NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (storage_group, resource, namespace, name),
    CONSTRAINT objects_document_or_sealed CHECK ((document IS NULL) <> (sealed IS NULL))
) WITH (fillfactor = 85, toast_tuple_target = 4080, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX objects_expires_at ON objects (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE revisions (
    revision bigint NOT NULL,
    storage_group text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    uid text COLLATE "C" NOT NULL,
    change smallint NOT NULL,
    storage_version text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    charge jsonb,
    document json,
    sealed bytea,
    revision_offset integer NOT NULL,
    previous_revision bigint,
    previous_uid text COLLATE "C",
    previous_document json,
    previous_sealed bytea,
    previous_offset integer,
    batch uuid NOT NULL,
    member integer NOT NULL,
    actor text NOT NULL,
    request_id text NOT NULL,
    field_manager text NOT NULL,
    source_commit text COLLATE "C" NOT NULL,
    PRIMARY KEY (revision)
) PARTITION BY RANGE (revision);

-- Limits that a commit nets against. scope is namespace/NAME or tenant/NAME.
CREATE TABLE quotas (
    scope text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    hard bigint NOT NULL,
    used bigint NOT NULL,
    PRIMARY KEY (scope, resource)
) WITH (fillfactor = 50);

CREATE TABLE data_keys (
    namespace text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    generation integer NOT NULL,
    serial bigint GENERATED ALWAYS AS IDENTITY,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (namespace, key_id)
);

CREATE TABLE tokens (
    sha256 text COLLATE "C" PRIMARY KEY,
    username text NOT NULL,
    groups text[] NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    description text NOT NULL
);

CREATE TABLE git_refs (
    repository text COLLATE "C" NOT NULL,
    ref text COLLATE "C" NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (repository, ref)
);

CREATE TABLE git_pushes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository text COLLATE "C" NOT NULL,
    ref text COLLATE "C" NOT NULL,
    old_id text COLLATE "C" NOT NULL,
    new_id text COLLATE "C" NOT NULL,
    result json NOT NULL,
    actor text NOT NULL,
    batch uuid NOT NULL,
    revision bigint NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX git_pushes_ref ON git_pushes (repository, ref, id);

CREATE TABLE node_tunnels (
    node text COLLATE "C" PRIMARY KEY,
    server text COLLATE "C" NOT NULL,
    address text NOT NULL,
    expires_at timestamptz NOT NULL
);
