-- The former program's commit function, so that it may still write while servers are replaced one by one: it does what the
-- new one does, without what it cannot know.
CREATE OR REPLACE FUNCTION moorage_commit_1(
    p_batch uuid, p_writer text, p_writer_epoch bigint, p_epoch bigint, p_atomic boolean,
    p_op smallint[], p_group text[], p_resource text[], p_namespace text[], p_name text[], p_uid text[],
    p_storage_version text[], p_document json[], p_sealed bytea[], p_offset integer[],
    p_expect_revision bigint[], p_expect_uid text[], p_tenant text[], p_charge text[], p_ttl integer[],
    p_actor text[], p_request text[], p_manager text[], p_source text[],
    p_conditions jsonb, p_refs jsonb,
    OUT outcomes smallint[], OUT revisions bigint[], OUT details text[], OUT last_revision bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_count integer := cardinality(p_op);
    v_verbs text[];
BEGIN
    SELECT coalesce(array_agg((ARRAY['create', 'update', 'delete'])[o] ORDER BY n), '{}') INTO v_verbs
    FROM unnest(p_op) WITH ORDINALITY AS u(o, n);
    -- It makes no partitions of the audit.
    IF to_regclass('audit_' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD')) IS NULL THEN
        PERFORM moorage_make_audit_partition_2(clock_timestamp());
    END IF;
    SELECT c.outcomes, c.revisions, c.details, c.last_revision INTO outcomes, revisions, details, last_revision
    FROM moorage_commit_2(
        p_batch, p_writer, p_writer_epoch, p_epoch, p_atomic, p_op, p_group, p_resource, p_namespace, p_name, p_uid,
        p_storage_version, p_document, p_sealed, p_offset, p_expect_revision, p_expect_uid,
        -- It knows no tenants: what it says of them is nothing.
        array_fill(NULL::text, ARRAY[v_count]), p_charge, p_ttl, p_actor, p_request, p_manager, p_source, p_conditions, p_refs,
        array_fill(NULL::jsonb, ARRAY[v_count]),
        v_verbs, array_fill(''::text, ARRAY[v_count]), array_fill('{}'::json, ARRAY[v_count]),
        (SELECT coalesce(array_agg(moorage_audit_row_2(q, a, v, g, r, '', s, m, c, true, 0, '{}') ORDER BY n), '{}')
         FROM unnest(p_request, p_actor, v_verbs, p_group, p_resource, p_namespace, p_name, p_source) WITH ORDINALITY
            AS u(q, a, v, g, r, s, m, c, n)),
        array_fill(NULL::bytea, ARRAY[v_count]),
        (SELECT coalesce(array_agg((r = 'secrets' AND g = '')::integer::smallint ORDER BY n), '{}')
         FROM unnest(p_resource, p_group) WITH ORDINALITY AS u(r, g, n)),
        NULL) c;
END $$;

-- It sets limits by this one; a scope of its own kind is its own subject.
CREATE OR REPLACE FUNCTION moorage_set_quota_1(p_scope text, p_resource text, p_hard bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM store_lock WHERE id = 1 FOR UPDATE;
    IF p_hard IS NULL THEN
        DELETE FROM quotas WHERE scope = p_scope AND resource = p_resource;
        RETURN;
    END IF;
    INSERT INTO quotas (scope, resource, hard, used, subject)
    VALUES (p_scope, p_resource, p_hard, moorage_count_2(p_scope, p_resource, NULL), p_scope)
    ON CONFLICT (scope, resource) DO UPDATE SET hard = excluded.hard, used = excluded.used, subject = excluded.subject;
END $$;
