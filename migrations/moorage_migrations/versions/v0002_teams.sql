-- What teams need beside objects. Nothing that the former program reads or writes changes its meaning.

-- SHA-256 of the stored bytes (of the ciphertext where the document is sealed), for the audit. Null: written by the former program.
ALTER TABLE objects ADD COLUMN digest bytea;

-- Recounts read one namespace, or the namespaces of one tenant; under the store lock, so never the whole table.
CREATE INDEX objects_namespace ON objects (namespace) WHERE charge IS NOT NULL;
CREATE INDEX objects_tenant ON objects (tenant, name) WHERE resource = 'namespaces';

-- scope is quota/NAMESPACE/NAME or tenant/NAME; subject, what is charged to it: namespace/NAME or tenant/NAME.
-- matcher: requirements on the class of a charge, all of which must hold; null takes every charge.
-- revision: of the last change of the row.
ALTER TABLE quotas
    ADD COLUMN subject text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN matcher jsonb,
    ADD COLUMN revision bigint NOT NULL DEFAULT 0;
UPDATE quotas SET subject = scope;
CREATE INDEX quotas_subject ON quotas (subject);

-- kind is personal, join, node or bootstrap. Revoked tokens and those that were used up stay for a while, so that lists
-- can tell of them.
ALTER TABLE tokens
    ADD COLUMN name text NOT NULL DEFAULT '',
    ADD COLUMN kind text COLLATE "C" NOT NULL DEFAULT 'personal',
    ADD COLUMN scopes text[] NOT NULL DEFAULT '{}',
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN used_at timestamptz,
    ADD COLUMN revoked_at timestamptz;

-- Key pairs of the platform; the private half is encrypted before it comes here. purpose keeps their kinds apart.
CREATE TABLE signing_keys (
    purpose text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    serial bigint GENERATED ALWAYS AS IDENTITY,
    sealed bytea NOT NULL,
    public bytea NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (purpose, key_id)
);

-- The last versions of each Secret, sealed as the object was. uid belongs to what the ciphertext is bound to.
CREATE TABLE secret_versions (
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    uid text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    sealed bytea NOT NULL,
    revision_offset integer NOT NULL,
    actor text NOT NULL,
    source_commit text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (namespace, name, version)
);
CREATE INDEX secret_versions_deleted ON secret_versions (deleted_at) WHERE deleted_at IS NOT NULL;

-- Rotations of keys: what is under way and how far it is. Whoever finds an unfinished one goes on with it.
CREATE TABLE rotations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    started_by text NOT NULL,
    total bigint NOT NULL,
    done bigint NOT NULL,
    message text NOT NULL,
    started_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE UNIQUE INDEX rotations_running ON rotations (kind, scope) WHERE finished_at IS NULL;
