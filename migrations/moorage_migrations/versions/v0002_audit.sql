-- The audit: who did what. Rows of writes are made by the commit function; rows of reads and refusals by each server.
--
-- Two kinds of hash chains: "commits", one for all writes, carried forward under the store lock; and one for each server
-- process, carried forward in its memory, so that an audited read takes no lock. The head of a server's chain is written
-- into the chain of commits ("anchor") with that server's next commit.

CREATE TABLE audit (
    at timestamptz NOT NULL,
    chain text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    server text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    verb text COLLATE "C" NOT NULL,
    storage_group text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    subresource text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    source_commit text COLLATE "C" NOT NULL,
    allowed boolean NOT NULL,
    code integer NOT NULL,
    revision bigint NOT NULL,
    old_digest bytea,
    new_digest bytea,
    detail json NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (at, chain, seq)
) PARTITION BY RANGE (at);

-- Where the chain of commits stands: one row a commit, the newest counts. Old ones are swept.
CREATE TABLE audit_heads (
    seq bigint PRIMARY KEY,
    hash bytea NOT NULL
);
INSERT INTO audit_heads SELECT 0, sha256(convert_to('moorage audit commits ' || uid, 'UTF8')) FROM cluster;

-- A row comes with each commit and goes with the next sweep: the share of dead ones says nothing about a table of one row.
ALTER TABLE audit_heads SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE batches SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000);

-- Where a chain begins since older rows were dropped for their age.
CREATE TABLE audit_floors (
    chain text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    at timestamptz NOT NULL
);

CREATE FUNCTION moorage_audit_keep_2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only: % is refused', lower(TG_OP) USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION moorage_audit_keep_2();
CREATE TRIGGER audit_keep_all BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION moorage_audit_keep_2();

-- Of the heads only those that a newer one has replaced may go; a floor only rises, and that of the commits stays.
CREATE FUNCTION moorage_audit_keep_head_2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.seq < (SELECT max(h.seq) FROM audit_heads h) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the head of the audit stays: % is refused', lower(TG_OP) USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION moorage_audit_keep_head_2();
CREATE TRIGGER audit_keep_all BEFORE TRUNCATE ON audit_heads FOR EACH STATEMENT EXECUTE FUNCTION moorage_audit_keep_2();

CREATE FUNCTION moorage_audit_keep_floor_2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.chain <> 'commits' THEN
        RETURN OLD;
    ELSIF TG_OP = 'UPDATE' AND NEW.chain = OLD.chain AND NEW.seq > OLD.seq THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a floor of the audit only rises: % is refused', lower(TG_OP) USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE ON audit_floors FOR EACH ROW EXECUTE FUNCTION moorage_audit_keep_floor_2();
CREATE TRIGGER audit_keep_all BEFORE TRUNCATE ON audit_floors FOR EACH STATEMENT EXECUTE FUNCTION moorage_audit_keep_2();

-- Partitions by days (UTC), named by their first day.

CREATE FUNCTION moorage_audit_partitions_2(OUT name text, OUT lower timestamptz, OUT upper timestamptz, OUT pending boolean)
RETURNS SETOF record LANGUAGE sql STABLE AS $$
    SELECT c.relname, p.day, p.day + interval '1 day', i.inhdetachpending
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL (SELECT to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS day) p
    WHERE i.inhparent = 'audit'::regclass
    ORDER BY 2
$$;

-- Make the partition of a moment where there is none; whether it was made.
CREATE FUNCTION moorage_make_audit_partition_2(p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_day timestamptz := date_trunc('day', p_at, 'UTC');
    v_name text := 'audit_' || to_char(v_day AT TIME ZONE 'UTC', 'YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('moorage partitions', 0));
    IF EXISTS (SELECT FROM moorage_audit_partitions_2() p WHERE p_at >= p.lower AND p_at < p.upper) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE audit INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name);
    EXECUTE format('ALTER TABLE audit ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_name, v_day, v_day + interval '1 day');
    EXECUTE format('CREATE TRIGGER audit_keep_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION moorage_audit_keep_2()',
                   v_name);
    RETURN true;
END $$;

-- Before a partition is detached: remember where each of its chains goes on.
CREATE FUNCTION moorage_audit_floor_2(p_upper timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit_floors AS f (chain, seq, hash, at)
    SELECT DISTINCT ON (a.chain) a.chain, a.seq, a.hash, a.at FROM audit a WHERE a.at < p_upper ORDER BY a.chain, a.seq DESC
    ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = excluded.at WHERE f.seq < excluded.seq
$$;

-- A row's hash is the SHA-256 of: the hash before it, its row digest, seq, its stamp, revision, old and new digest (zeros
-- for null); numbers as eight bytes, the highest first.

-- Row digest: of the JSON array of its fields, as PostgreSQL writes it.
CREATE FUNCTION moorage_audit_row_2(
    p_request text, p_actor text, p_verb text, p_group text, p_resource text, p_subresource text, p_namespace text,
    p_name text, p_source text, p_allowed boolean, p_code integer, p_detail json
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(json_build_array(
        p_request, p_actor, p_verb, p_group, p_resource, p_subresource, p_namespace, p_name, p_source, p_allowed, p_code,
        p_detail::text)::text, 'UTF8'))
$$;

-- Stamp: the microsecond, and the SHA-256 of the server's name.
CREATE FUNCTION moorage_audit_stamp_2(p_at timestamptz, p_server text) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT int8send((extract(epoch FROM p_at) * 1000000)::bigint) || sha256(convert_to(p_server, 'UTF8'))
$$;
