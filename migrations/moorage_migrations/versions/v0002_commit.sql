-- The commit function. One call is one batch is one transaction. It raises for no member; it raises
--   MG001 where the writer's epoch is not the current one (an earlier connection's batch that arrives late),
--   MG002 where the cluster's epoch is another (a restore: the caller's caches are of another history).
-- A missing partition (of revisions, of the audit) raises check_violation (23514); the caller makes it and calls again.
--
-- op: 1 create, 2 update, 3 delete.
-- outcome: 0 written, 1 exists, 2 not found, 3 revision conflict, 4 uid mismatch, 5 quota, 6 precondition, 7 aborted.
-- change: 1 added, 2 modified, 3 deleted.
-- tenant: of a Namespace; null keeps the stored one. The tenant of whatever is in it follows.
-- limits: what moorage_set_limits_2 takes, for the objects that quotas are made of.
-- audit, row: what the audit's row tells beside its columns, and its moorage_audit_row_2; null writes no row.
-- digest: SHA-256 of the stored bytes. keep: 1 for a Secret whose version is to be kept. anchor: the head of the server's
-- own chain, {"chain", "seq", "hash"}, where it has moved.

-- One more row of the chain of commits that is about no object; the new head.
CREATE FUNCTION moorage_note_2(
    p_seq bigint, p_head bytea, p_at timestamptz, p_server text, p_verb text, p_request text, p_actor text, p_group text,
    p_resource text, p_namespace text, p_name text, p_source text, p_revision bigint, p_detail json
) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    v_none bytea := decode(repeat('00', 64), 'hex');
    v_head bytea;
BEGIN
    v_head := sha256(
        p_head
        || moorage_audit_row_2(
            p_request, p_actor, p_verb, p_group, p_resource, '', p_namespace, p_name, p_source, true, 0, p_detail)
        || int8send(p_seq) || moorage_audit_stamp_2(p_at, p_server) || int8send(p_revision) || v_none);
    INSERT INTO audit VALUES (
        p_at, 'commits', p_seq, p_server, p_request, p_actor, p_verb, p_group, p_resource, '', p_namespace, p_name,
        p_source, true, 0, p_revision, NULL, NULL, p_detail, v_head);
    RETURN v_head;
END $$;

-- Keep the version of a Secret that was written, and no more than ten; mark them where it was deleted.
CREATE FUNCTION moorage_keep_version_2(
    p_op smallint, p_namespace text, p_name text, p_uid text, p_revision bigint, p_sealed bytea, p_offset integer,
    p_actor text, p_source text, p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_version bigint;
BEGIN
    IF p_op = 3 THEN
        UPDATE secret_versions s SET deleted_at = p_now
        WHERE s.namespace = p_namespace AND s.name = p_name AND s.deleted_at IS NULL;
        RETURN;
    END IF;
    SELECT coalesce(max(s.version), 0) + 1 INTO v_version
    FROM secret_versions s WHERE s.namespace = p_namespace AND s.name = p_name;
    INSERT INTO secret_versions VALUES (
        p_namespace, p_name, v_version, p_uid, p_revision, p_sealed, p_offset, p_actor, p_source, p_now, NULL);
    DELETE FROM secret_versions s
    WHERE s.namespace = p_namespace AND s.name = p_name AND s.version <= v_version - 10;
END $$;

-- A row for each ref that was moved.
CREATE FUNCTION moorage_note_refs_2(
    p_seq bigint, p_head bytea, p_at timestamptz, p_server text, p_revision bigint, p_refs jsonb, OUT seq bigint, OUT hash bytea
) LANGUAGE plpgsql AS $$
DECLARE
    v record;
BEGIN
    seq := p_seq;
    hash := p_head;
    IF seq IS NULL THEN
        SELECT h.seq, h.hash INTO seq, hash FROM audit_heads h ORDER BY h.seq DESC LIMIT 1;
    END IF;
    FOR v IN SELECT * FROM jsonb_to_recordset(p_refs) AS r(
        repository text, namespace text, name text, ref text, old text, new text, actor text, request text, audit jsonb)
    LOOP
        seq := seq + 1;
        hash := moorage_note_2(
            seq, hash, p_at, p_server, 'push', coalesce(v.request, ''), v.actor, 'gitops.moorage.io', 'repositories',
            coalesce(v.namespace, ''), coalesce(v.name, v.repository), v.new, p_revision,
            (coalesce(v.audit, '{}') || jsonb_build_object('ref', v.ref, 'oldCommit', v.old))::json);
    END LOOP;
END $$;

CREATE FUNCTION moorage_commit_2(
    p_batch uuid, p_writer text, p_writer_epoch bigint, p_epoch bigint, p_atomic boolean,
    p_op smallint[], p_group text[], p_resource text[], p_namespace text[], p_name text[], p_uid text[],
    p_storage_version text[], p_document json[], p_sealed bytea[], p_offset integer[],
    p_expect_revision bigint[], p_expect_uid text[], p_tenant text[], p_charge text[], p_ttl integer[],
    p_actor text[], p_request text[], p_manager text[], p_source text[],
    p_conditions jsonb, p_refs jsonb,
    p_limits jsonb[], p_verb text[], p_subresource text[], p_audit json[], p_row bytea[], p_digest bytea[],
    p_keep smallint[], p_anchor json,
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
    -- The namespace whose tenant was looked up last.
    v_namespace text;
    v_tenant text;
    v_is_namespace boolean;
    -- The chain of commits; null where this call has not come to it yet.
    v_seq bigint;
    v_head bytea;
    v_begun bigint;
    v_stamp bytea;
    v_none bytea := decode(repeat('00', 32), 'hex');
    hashes bytea[];
    olds bytea[];
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
            v_is_namespace := p_resource[i] = 'namespaces' AND p_group[i] = '';

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

            -- The tenant of an object is its namespace's, as of now.
            IF v_outcome <> 0 THEN
                NULL;
            ELSIF v_is_namespace THEN
                v_namespace := NULL;
                v_tenant := CASE WHEN p_op[i] < 3 THEN coalesce(p_tenant[i], v_old.tenant, '') ELSE '' END;
            ELSIF p_namespace[i] = '' THEN
                v_namespace := NULL;
                v_tenant := '';
            ELSIF v_namespace IS DISTINCT FROM p_namespace[i] THEN
                v_namespace := p_namespace[i];
                SELECT o.tenant INTO v_tenant FROM objects o
                WHERE o.storage_group = '' AND o.resource = 'namespaces' AND o.namespace = '' AND o.name = v_namespace;
                v_tenant := coalesce(v_tenant, '');
            END IF;

            IF v_outcome = 0 AND v_limited THEN
                v_detail := NULL;
                IF p_op[i] = 3 THEN v_charge := NULL; END IF;
                IF v_is_namespace AND v_tenant <> coalesce(v_old.tenant, '') THEN
                    v_detail := moorage_move_2(
                        p_name[i], coalesce(v_old.tenant, ''), v_old.charge, v_tenant, v_charge, v_next);
                ELSIF v_charge IS DISTINCT FROM v_old.charge THEN
                    v_detail := moorage_charge_2(
                        ARRAY['namespace/' || p_namespace[i], 'tenant/' || v_tenant], v_old.charge, v_charge, v_next);
                END IF;
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
                    v_tenant, v_charge, p_document[i], p_sealed[i], p_offset[i], v_expires, p_digest[i]);
                INSERT INTO revisions VALUES (
                    v_next, p_group[i], p_resource[i], p_namespace[i], p_name[i], p_uid[i], 1,
                    p_storage_version[i], v_tenant, v_charge, p_document[i], p_sealed[i], p_offset[i],
                    NULL, NULL, NULL, NULL, NULL,
                    p_batch, i - 1, p_actor[i], p_request[i], p_manager[i], p_source[i]);
            ELSIF p_op[i] = 2 THEN
                UPDATE objects o SET
                    uid = p_uid[i], revision = v_next, storage_version = p_storage_version[i], tenant = v_tenant,
                    charge = v_charge, document = p_document[i], sealed = p_sealed[i], revision_offset = p_offset[i],
                    expires_at = v_expires, digest = p_digest[i]
                WHERE o.storage_group = p_group[i] AND o.resource = p_resource[i]
                  AND o.namespace = p_namespace[i] AND o.name = p_name[i];
                INSERT INTO revisions VALUES (
                    v_next, p_group[i], p_resource[i], p_namespace[i], p_name[i], p_uid[i], 2,
                    p_storage_version[i], v_tenant, v_charge, p_document[i], p_sealed[i], p_offset[i],
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
                    p_digest[i] := v_old.digest;
                END IF;
                INSERT INTO revisions VALUES (
                    v_next, p_group[i], p_resource[i], p_namespace[i], p_name[i], v_old.uid, 3,
                    v_old.storage_version, v_old.tenant, v_old.charge, p_document[i], p_sealed[i], p_offset[i],
                    v_old.revision, v_old.uid, v_old.document, v_old.sealed, v_old.revision_offset,
                    p_batch, i - 1, p_actor[i], p_request[i], p_manager[i], p_source[i]);
            END IF;
            IF p_limits[i] IS NOT NULL THEN
                PERFORM moorage_set_limits_2(p_limits[i], v_next);
                v_limited := true;
            END IF;
            IF p_keep[i] = 1 THEN
                PERFORM moorage_keep_version_2(
                    p_op[i], p_namespace[i], p_name[i], p_uid[i], v_next, p_sealed[i], p_offset[i], p_actor[i], p_source[i], v_now);
            ELSIF v_is_namespace AND p_op[i] = 3 THEN
                -- Who makes a namespace of this name later has no right to what was in this one.
                DELETE FROM secret_versions s WHERE s.namespace = p_name[i];
            END IF;
            IF p_row[i] IS NOT NULL THEN
                IF v_seq IS NULL THEN
                    SELECT h.seq, h.hash INTO v_seq, v_head FROM audit_heads h ORDER BY h.seq DESC LIMIT 1;
                    v_begun := v_seq;
                    v_stamp := moorage_audit_stamp_2(v_now, p_writer);
                    hashes := array_fill(NULL::bytea, ARRAY[v_count]);
                    -- Whole from the start: an array that begins at a later member would be unnested from the first one.
                    olds := hashes;
                END IF;
                v_seq := v_seq + 1;
                v_head := sha256(v_head || p_row[i] || int8send(v_seq) || v_stamp || int8send(v_next)
                                 || coalesce(v_old.digest, v_none) || coalesce(p_digest[i], v_none));
                hashes[i] := v_head;
                olds[i] := v_old.digest;
            END IF;
            revisions[i] := v_next;
            v_next := v_next + 1;
        END LOOP;
        IF v_seq IS NOT NULL AND v_count = 1 THEN
            -- Most commits are of one row, which costs half without the machinery of arrays.
            INSERT INTO audit VALUES (
                v_now, 'commits', v_seq, p_writer, p_request[1], p_actor[1], p_verb[1], p_group[1], p_resource[1],
                p_subresource[1], p_namespace[1], p_name[1], p_source[1], true, 0, revisions[1], olds[1], p_digest[1],
                p_audit[1], v_head);
        ELSIF v_seq IS NOT NULL THEN
            INSERT INTO audit
            SELECT v_now, 'commits', v_begun + row_number() OVER (ORDER BY u.n), p_writer, u.request, u.actor, u.verb,
                   u.storage_group, u.resource, u.subresource, u.namespace, u.name, u.source, true, 0, u.revision,
                   u.old_digest, u.new_digest, u.detail, u.hash
            FROM unnest(p_request, p_actor, p_verb, p_group, p_resource, p_subresource, p_namespace, p_name, p_source,
                        revisions, olds, p_digest, p_audit, hashes) WITH ORDINALITY
                AS u(request, actor, verb, storage_group, resource, subresource, namespace, name, source, revision,
                     old_digest, new_digest, detail, hash, n)
            WHERE u.hash IS NOT NULL;
        END IF;
        IF p_atomic AND v_failed THEN
            RAISE EXCEPTION USING ERRCODE = 'MG003';
        END IF;
    EXCEPTION WHEN SQLSTATE 'MG003' THEN
        v_next := v_first;
        v_seq := NULL;
        FOR i IN 1 .. cardinality(outcomes) LOOP
            IF outcomes[i] = 0 THEN
                outcomes[i] := 7;
                revisions[i] := 0;
            END IF;
        END LOOP;
    END;

    IF p_refs IS NOT NULL AND NOT v_failed THEN
        SELECT seq, hash INTO v_seq, v_head FROM moorage_note_refs_2(v_seq, v_head, v_now, p_writer, v_next - 1, p_refs);
    END IF;
    IF p_anchor IS NOT NULL AND v_next > v_first THEN
        IF v_seq IS NULL THEN
            SELECT h.seq, h.hash INTO v_seq, v_head FROM audit_heads h ORDER BY h.seq DESC LIMIT 1;
        END IF;
        v_seq := v_seq + 1;
        v_head := moorage_note_2(
            v_seq, v_head, v_now, p_writer, 'anchor', '', 'system:moorage:audit', '', '', '', '', '', 0, p_anchor);
    END IF;
    IF v_seq IS NOT NULL THEN
        INSERT INTO audit_heads VALUES (v_seq, v_head);
    END IF;
    last_revision := v_next - 1;
    IF last_revision >= v_first THEN
        INSERT INTO batches VALUES (last_revision, v_first, p_batch, p_writer, v_now);
        PERFORM pg_notify('moorage', last_revision::text);
    END IF;
END $$;
