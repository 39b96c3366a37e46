-- The commit function: one call is one batch is one transaction. It raises for no member; it raises
--   MG001 where the writer's epoch is not the current one (an earlier connection's batch that arrives late),
--   MG002 where the cluster's epoch is another (a restore: the caller's caches are of another history).
-- A missing partition raises check_violation (23514); the caller makes it and calls again.
--
-- op: 1 create, 2 update, 3 delete.
-- outcome: 0 written, 1 exists, 2 not found, 3 revision conflict, 4 uid mismatch, 5 quota, 6 precondition, 7 aborted.
-- change: 1 added, 2 modified, 3 deleted.

-- What a new charge adds to each scope, less what an old one took.
CREATE FUNCTION moorage_net_1(
    p_old_namespace text, p_old_tenant text, p_old jsonb, p_new_namespace text, p_new_tenant text, p_new jsonb
) RETURNS TABLE (scope text, resource text, amount bigint) LANGUAGE sql IMMUTABLE AS $$
    SELECT part.scope, part.resource, sum(part.amount)::bigint
    FROM (
        SELECT scope, key AS resource, value::bigint AS amount
        FROM jsonb_each_text(p_new), unnest(ARRAY['namespace/' || p_new_namespace, 'tenant/' || p_new_tenant]) AS scope
        UNION ALL
        SELECT scope, key, -value::bigint
        FROM jsonb_each_text(p_old), unnest(ARRAY['namespace/' || p_old_namespace, 'tenant/' || p_old_tenant]) AS scope
    ) part
    GROUP BY part.scope, part.resource
$$;

-- Net a new charge against an old one in every limited scope. Returns null, or what does not fit (then nothing changed).
CREATE FUNCTION moorage_charge_1(
    p_old_namespace text, p_old_tenant text, p_old jsonb, p_new_namespace text, p_new_tenant text, p_new jsonb
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_refusal text;
BEGIN
    SELECT json_build_object(
        'scope', q.scope, 'resource', q.resource, 'used', q.used, 'asked', n.amount, 'hard', q.hard)::text
    INTO v_refusal
    FROM moorage_net_1(p_old_namespace, p_old_tenant, p_old, p_new_namespace, p_new_tenant, p_new) n
    JOIN quotas q USING (scope, resource)
    WHERE n.amount > 0 AND q.used + n.amount > q.hard
    ORDER BY q.scope, q.resource LIMIT 1;
    IF v_refusal IS NULL THEN
        UPDATE quotas q SET used = q.used + n.amount
        FROM moorage_net_1(p_old_namespace, p_old_tenant, p_old, p_new_namespace, p_new_tenant, p_new) n
        WHERE q.scope = n.scope AND q.resource = n.resource AND n.amount <> 0;
    END IF;
    RETURN v_refusal;
END $$;

-- Set a limit (null removes it) and count what is charged already.
CREATE FUNCTION moorage_set_quota_1(p_scope text, p_resource text, p_hard bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM store_lock WHERE id = 1 FOR UPDATE;
    IF p_hard IS NULL THEN
        DELETE FROM quotas WHERE scope = p_scope AND resource = p_resource;
        RETURN;
    END IF;
    INSERT INTO quotas (scope, resource, hard, used)
    SELECT p_scope, p_resource, p_hard, coalesce(sum((o.charge ->> p_resource)::bigint), 0)
    FROM objects o
    WHERE 'namespace/' || o.namespace = p_scope OR 'tenant/' || o.tenant = p_scope
    ON CONFLICT (scope, resource) DO UPDATE SET hard = excluded.hard, used = excluded.used;
END $$;

-- Why the conditions of a transaction do not hold, or null; where they hold, refs are moved and the pushes recorded.
CREATE FUNCTION moorage_conditions_1(p_batch uuid, p_revision bigint, p_conditions jsonb, p_refs jsonb)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v record;
    v_revision bigint;
    v_uid text;
    v_object_id text;
BEGIN
    FOR v IN SELECT * FROM jsonb_to_recordset(p_conditions) AS c(
        storage_group text, resource text, namespace text, name text, "exists" boolean, revision bigint, uid text)
    LOOP
        SELECT o.revision, o.uid INTO v_revision, v_uid FROM objects o
        WHERE o.storage_group = v.storage_group AND o.resource = v.resource
          AND o.namespace = v.namespace AND o.name = v.name;
        IF (v.exists AND v_revision IS NULL) OR (NOT v.exists AND v_revision IS NOT NULL)
           OR (v.revision IS NOT NULL AND v.revision IS DISTINCT FROM v_revision)
           OR (v.uid IS NOT NULL AND v.uid IS DISTINCT FROM v_uid) THEN
            RETURN json_build_object(
                'group', v.storage_group, 'resource', v.resource, 'namespace', v.namespace, 'name', v.name,
                'expected', json_strip_nulls(json_build_object('exists', v.exists, 'revision', v.revision, 'uid', v.uid)),
                'found', json_build_object('exists', v_revision IS NOT NULL, 'revision', v_revision, 'uid', v_uid))::text;
        END IF;
    END LOOP;
    FOR v IN SELECT * FROM jsonb_to_recordset(p_refs) AS r(
        repository text, ref text, old text, new text, result text, actor text)
    LOOP
        SELECT g.object_id INTO v_object_id FROM git_refs g WHERE g.repository = v.repository AND g.ref = v.ref;
        v_object_id := coalesce(v_object_id, '');
        IF v_object_id <> v.old THEN
            RETURN json_build_object(
                'repository', v.repository, 'ref', v.ref, 'expected', v.old, 'found', v_object_id)::text;
        END IF;
        IF v.new = '' THEN
            DELETE FROM git_refs g WHERE g.repository = v.repository AND g.ref = v.ref;
        ELSE
            INSERT INTO git_refs VALUES (v.repository, v.ref, v.new, clock_timestamp())
            ON CONFLICT (repository, ref) DO UPDATE
            SET object_id = excluded.object_id, changed_at = excluded.changed_at;
        END IF;
        INSERT INTO git_pushes (repository, ref, old_id, new_id, result, actor, batch, revision, at)
        VALUES (v.repository, v.ref, v.old, v.new, v.result::json, v.actor, p_batch, p_revision, clock_timestamp());
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION moorage_commit_1(
    p_batch uuid, p_writer text, p_writer_epoch bigint, p_epoch bigint, p_atomic boolean,
    p_op smallint[], p_group text[], p_resource text[], p_namespace text[], p_name text[], p_uid text[],
    p_storage_version text[], p_document json[], p_sealed bytea[], p_offset integer[],
    p_expect_revision bigint[], p_expect_uid text[], p_tenant text[], p_charge text[], p_ttl integer[],
    p_actor text[], p_request text[], p_manager text[], p_source text[],
    p_conditions jsonb, p_refs jsonb,
    OUT outcomes smallint[], OUT revisions bigint[], OUT details text[], OUT last_revision bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_first bigint;
    v_next bigint;
    v_count integer := cardinality(p_op);
    v_limited boolean;
    v_failed boolean := false;
    v_old objects%ROWTYPE;
    v_found boolean;
    v_outcome smallint;
    v_detail text;
    v_charge jsonb;
    v_expires timestamptz;
    v_now timestamptz;
    i integer;
BEGIN
    PERFORM FROM store_lock WHERE id = 1 FOR UPDATE;
    -- Everything below sees what the previous holder of the lock committed: each statement takes a new snapshot.
    SELECT greatest(c.base_revision, (SELECT max(b.last_revision) FROM batches b)) + 1 INTO v_first
    FROM cluster c WHERE c.id = 1 AND c.epoch = p_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the cluster has begun a new epoch' USING ERRCODE = 'MG002';
    END IF;
    PERFORM FROM writers w WHERE w.writer = p_writer AND w.epoch = p_writer_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the writer has begun a new epoch' USING ERRCODE = 'MG001';
    END IF;
    v_next := v_first;
    v_now := clock_timestamp();
    v_limited := EXISTS (SELECT FROM quotas);
    outcomes := array_fill(0::smallint, ARRAY[v_count]);
    revisions := array_fill(0::bigint, ARRAY[v_count]);
    details := array_fill(''::text, ARRAY[v_count]);

    -- The block is a savepoint: what an atomic batch wrote before its first failure is undone.
    <<writing>>
    BEGIN
        IF p_conditions IS NOT NULL OR p_refs IS NOT NULL THEN
            v_detail := moorage_conditions_1(
                p_batch, v_first + v_count - 1, coalesce(p_conditions, '[]'), coalesce(p_refs, '[]'));
            IF v_detail IS NOT NULL THEN
                v_failed := true;
                outcomes := array_fill(6::smallint, ARRAY[greatest(v_count, 1)]);
                revisions := array_fill(0::bigint, ARRAY[greatest(v_count, 1)]);
                details := array_fill(v_detail, ARRAY[greatest(v_count, 1)]);
                RAISE EXCEPTION USING ERRCODE = 'MG003';
            END IF;
        END IF;

        FOR i IN 1 .. v_count LOOP
            v_outcome := 0;
            v_detail := '';
            v_charge := p_charge[i]::jsonb;
            v_expires := v_now + make_interval(secs => p_ttl[i]);

            SELECT * INTO v_old FROM objects o
            WHERE o.storage_group = p_group[i] AND o.resource = p_resource[i]
              AND o.namespace = p_namespace[i] AND o.name = p_name[i];
            v_found := FOUND;

            IF p_op[i] = 1 THEN
                IF v_found THEN v_outcome := 1; END IF;
            ELSIF NOT v_found THEN
                v_outcome := 2;
            ELSIF p_expect_uid[i] <> v_old.uid THEN
                v_outcome := 4;
            ELSIF p_expect_revision[i] <> v_old.revision THEN
                v_outcome := 3;
            END IF;

            IF v_outcome = 0 AND v_limited AND (v_charge IS NOT NULL OR v_old.charge IS NOT NULL) THEN
                v_detail := moorage_charge_1(
                    v_old.namespace, v_old.tenant, v_old.charge, p_namespace[i], p_tenant[i],
                    CASE WHEN p_op[i] < 3 THEN v_charge END);
                IF v_detail IS NULL THEN v_detail := ''; ELSE v_outcome := 5; END IF;
            END IF;

            IF v_outcome <> 0 THEN
                v_failed := true;
                outcomes[i] := v_outcome;
                revisions[i] := coalesce(v_old.revision, 0);
                details[i] := v_detail;
                CONTINUE;
            END IF;

            IF p_op[i] = 1 THEN
                INSERT INTO objects VALUES (
                    p_group[i], p_resource[i], p_namespace[i], p_name[i], p_uid[i], v_next, p_storage_version[i],
                    p_tenant[i], v_charge, p_document[i], p_sealed[i], p_offset[i], v_expires);
                INSERT INTO revisions VALUES (
                    v_next, p_group[i], p_resource[i], p_namespace[i], p_name[i], p_uid[i], 1,
                    p_storage_version[i], p_tenant[i], v_charge, p_document[i], p_sealed[i], p_offset[i],
                    NULL, NULL, NULL, NULL, NULL,
                    p_batch, i - 1, p_actor[i], p_request[i], p_manager[i], p_source[i]);
            ELSIF p_op[i] = 2 THEN
                UPDATE objects o SET
                    uid = p_uid[i], revision = v_next, storage_version = p_storage_version[i], tenant = p_tenant[i],
                    charge = v_charge, document = p_document[i], sealed = p_sealed[i], revision_offset = p_offset[i],
                    expires_at = v_expires
                WHERE o.storage_group = p_group[i] AND o.resource = p_resource[i]
                  AND o.namespace = p_namespace[i] AND o.name = p_name[i];
                INSERT INTO revisions VALUES (
                    v_next, p_group[i], p_resource[i], p_namespace[i], p_name[i], p_uid[i], 2,
                    p_storage_version[i], p_tenant[i], v_charge, p_document[i], p_sealed[i], p_offset[i],
                    v_old.revision, v_old.uid, v_old.document, v_old.sealed, v_old.revision_offset,
                    p_batch, i - 1, p_actor[i], p_request[i], p_manager[i], p_source[i]);
            ELSE
                DELETE FROM objects o
                WHERE o.storage_group = p_group[i] AND o.resource = p_resource[i]
                  AND o.namespace = p_namespace[i] AND o.name = p_name[i];
                IF p_offset[i] IS NULL THEN
                    p_document[i] := v_old.document;
                    p_sealed[i] := v_old.sealed;
                    p_offset[i] := v_old.revision_offset;
                END IF;
                INSERT INTO revisions VALUES (
                    v_next, p_group[i], p_resource[i], p_namespace[i], p_name[i], v_old.uid, 3,
                    v_old.storage_version, v_old.tenant, v_old.charge, p_document[i], p_sealed[i], p_offset[i],
                    v_old.revision, v_old.uid, v_old.document, v_old.sealed, v_old.revision_offset,
                    p_batch, i - 1, p_actor[i], p_request[i], p_manager[i], p_source[i]);
            END IF;
            revisions[i] := v_next;
            v_next := v_next + 1;
        END LOOP;
        IF p_atomic AND v_failed THEN
            RAISE EXCEPTION USING ERRCODE = 'MG003';
        END IF;
    EXCEPTION WHEN SQLSTATE 'MG003' THEN
        v_next := v_first;
        FOR i IN 1 .. cardinality(outcomes) LOOP
            IF outcomes[i] = 0 THEN
                outcomes[i] := 7;
                revisions[i] := 0;
            END IF;
        END LOOP;
    END;

    last_revision := v_next - 1;
    IF last_revision >= v_first THEN
        INSERT INTO batches VALUES (last_revision, v_first, p_batch, p_writer, v_now);
        PERFORM pg_notify('moorage', last_revision::text);
    END IF;
END $$;
