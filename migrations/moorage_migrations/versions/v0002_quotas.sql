-- Quotas: limits are set by the commit that writes their object, and every charge is netted in the commit that makes it.
-- A charge is an object of resource -> amount, and under "@" its class: {"scopes": [...], "priorityClass": "x"}.

-- Few rows, each updated by very many commits.
ALTER TABLE quotas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Whether a charge of class p_class counts against a matcher: [{"scope", "operator", "values"}], all of which must hold.
-- Scopes that a class has a value for (priorityClass, volumeAttributesClass: a text, or several) know In, NotIn, Exists and
-- DoesNotExist, and a list matches where one of its values does; the others are in the class's "scopes" or they are not.
-- A charge without a class matches no requirement. Source: pkg/quota/v1/evaluator/core (podMatchesSelector, pvcMatchesSelector).
CREATE FUNCTION moorage_matches_2(p_matcher jsonb, p_class jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_each jsonb;
    v_value jsonb;
    v_operator text;
    v_scope text;
BEGIN
    IF p_matcher IS NULL THEN
        RETURN true;
    END IF;
    IF p_class IS NULL THEN
        RETURN false;
    END IF;
    FOR v_each IN SELECT value FROM jsonb_array_elements(p_matcher) LOOP
        v_scope := v_each ->> 'scope';
        v_operator := v_each ->> 'operator';
        IF v_scope IN ('PriorityClass', 'VolumeAttributesClass') THEN
            v_value := p_class -> (lower(left(v_scope, 1)) || substr(v_scope, 2));
            IF v_value IN ('""', '[]', 'null') THEN
                v_value := NULL;
            END IF;
            IF v_operator = 'Exists' THEN
                IF v_value IS NULL THEN RETURN false; END IF;
            ELSIF v_operator = 'DoesNotExist' THEN
                IF v_value IS NOT NULL THEN RETURN false; END IF;
            ELSE
                IF v_value IS NULL THEN
                    -- As of labels: what is not there is not in.
                    IF v_operator = 'In' THEN RETURN false; END IF;
                ELSE
                    IF jsonb_typeof(v_value) <> 'array' THEN
                        v_value := jsonb_build_array(v_value);
                    END IF;
                    IF NOT EXISTS (
                        SELECT FROM jsonb_array_elements_text(v_value) one
                        WHERE (v_each -> 'values') ? one.value = (v_operator = 'In')
                    ) THEN
                        RETURN false;
                    END IF;
                END IF;
            END IF;
        ELSIF coalesce((p_class -> 'scopes') ? v_scope, false) = (v_operator = 'DoesNotExist') THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END $$;

-- What a charge adds to a resource of a quota.
CREATE FUNCTION moorage_amount_2(p_charge jsonb, p_resource text, p_matcher jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_charge ? p_resource AND (p_matcher IS NULL OR moorage_matches_2(p_matcher, p_charge -> '@'))
                THEN (p_charge ->> p_resource)::bigint ELSE 0 END
$$;

-- What is charged to a subject already.
CREATE FUNCTION moorage_count_2(p_subject text, p_resource text, p_matcher jsonb) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_name text := substr(p_subject, strpos(p_subject, '/') + 1);
    v_count bigint;
BEGIN
    IF p_subject LIKE 'namespace/%' THEN
        SELECT coalesce(sum(moorage_amount_2(o.charge, p_resource, p_matcher)), 0) INTO v_count
        FROM objects o WHERE o.namespace = v_name AND o.charge IS NOT NULL;
        RETURN v_count;
    END IF;
    SELECT coalesce(sum(moorage_amount_2(o.charge, p_resource, p_matcher)), 0) INTO v_count
    FROM objects n CROSS JOIN LATERAL (
        SELECT n.charge UNION ALL SELECT o.charge FROM objects o WHERE o.namespace = n.name AND o.charge IS NOT NULL
    ) o
    WHERE n.tenant = v_name AND n.resource = 'namespaces' AND n.storage_group = '';
    RETURN v_count;
END $$;

-- Set the rows of a scope: {"scope", "subject", "hard": {resource: amount}, "matcher"}. What is not in hard is removed;
-- what exists is counted, and may be more than the limit allows. A scope that is as it should be is left alone.
CREATE FUNCTION moorage_set_limits_2(p_limits jsonb, p_revision bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_scope text := p_limits ->> 'scope';
    v_subject text := p_limits ->> 'subject';
    v_hard jsonb := p_limits -> 'hard';
    v_matcher jsonb := nullif(nullif(p_limits -> 'matcher', '[]'), 'null');
    v_same boolean;
BEGIN
    SELECT coalesce(jsonb_object_agg(q.resource, q.hard), '{}') = v_hard
           AND coalesce(bool_and(q.matcher IS NOT DISTINCT FROM v_matcher), true)
    INTO v_same FROM quotas q WHERE q.scope = v_scope;
    IF v_same THEN
        RETURN;
    END IF;
    DELETE FROM quotas q WHERE q.scope = v_scope AND NOT v_hard ? q.resource;
    INSERT INTO quotas (scope, resource, hard, used, subject, matcher, revision)
    SELECT v_scope, h.key, h.value::bigint, moorage_count_2(v_subject, h.key, v_matcher), v_subject, v_matcher, p_revision
    FROM jsonb_each_text(v_hard) h
    ON CONFLICT (scope, resource) DO UPDATE
    SET hard = excluded.hard, used = excluded.used, subject = excluded.subject, matcher = excluded.matcher,
        revision = excluded.revision;
END $$;

-- What becomes of the quotas of some subjects where one charge takes the place of another one.
CREATE FUNCTION moorage_net_2(p_subjects text[], p_old jsonb, p_new jsonb)
RETURNS TABLE (scope text, resource text, used bigint, hard bigint, amount bigint) LANGUAGE sql STABLE AS $$
    SELECT q.scope, q.resource, q.used, q.hard,
           moorage_amount_2(p_new, q.resource, q.matcher) - moorage_amount_2(p_old, q.resource, q.matcher)
    FROM quotas q
    WHERE q.subject = ANY (p_subjects) AND (p_new ? q.resource OR p_old ? q.resource)
$$;

-- Net a new charge against an old one. Returns null, or all that does not fit (then nothing has changed).
CREATE FUNCTION moorage_charge_2(p_subjects text[], p_old jsonb, p_new jsonb, p_revision bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_refusal text;
    v_changes bigint;
BEGIN
    p_old := coalesce(p_old, '{}');
    p_new := coalesce(p_new, '{}');
    SELECT json_agg(json_build_object(
               'scope', n.scope, 'resource', n.resource, 'used', n.used, 'asked', n.amount, 'hard', n.hard)
               ORDER BY n.scope, n.resource) FILTER (WHERE n.amount > 0 AND n.used + n.amount > n.hard),
           count(*) FILTER (WHERE n.amount <> 0)
    INTO v_refusal, v_changes
    FROM moorage_net_2(p_subjects, p_old, p_new) n;
    IF v_refusal IS NULL AND v_changes > 0 THEN
        UPDATE quotas q SET used = q.used + n.amount, revision = p_revision
        FROM moorage_net_2(p_subjects, p_old, p_new) n
        WHERE q.scope = n.scope AND q.resource = n.resource AND n.amount <> 0;
    END IF;
    RETURN v_refusal;
END $$;

-- A namespace, with all that is charged in it, goes from one tenant ("" for none) to another; the Namespace's own charge may
-- change as well. Returns null, or all that does not fit (then nothing has changed).
CREATE FUNCTION moorage_move_2(
    p_namespace text, p_from text, p_old jsonb, p_to text, p_new jsonb, p_revision bigint
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_moves jsonb;
    v_refusal text;
BEGIN
    SELECT jsonb_agg(jsonb_build_object('scope', q.scope, 'resource', q.resource, 'amount',
               CASE WHEN q.subject = 'tenant/' || p_to
                    THEN moved.amount + moorage_amount_2(coalesce(p_new, '{}'), q.resource, q.matcher)
                    ELSE -moved.amount - moorage_amount_2(coalesce(p_old, '{}'), q.resource, q.matcher) END))
    INTO v_moves
    FROM quotas q CROSS JOIN LATERAL (
        SELECT moorage_count_2('namespace/' || p_namespace, q.resource, q.matcher) AS amount) moved
    WHERE q.subject IN ('tenant/' || p_from, 'tenant/' || p_to);
    IF v_moves IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT json_agg(json_build_object(
               'scope', q.scope, 'resource', q.resource, 'used', q.used, 'asked', m.amount, 'hard', q.hard)
               ORDER BY q.scope, q.resource)
    INTO v_refusal
    FROM jsonb_to_recordset(v_moves) AS m(scope text, resource text, amount bigint)
    JOIN quotas q ON q.scope = m.scope COLLATE "C" AND q.resource = m.resource COLLATE "C"
    WHERE m.amount > 0 AND q.used + m.amount > q.hard;
    IF v_refusal IS NULL THEN
        UPDATE quotas q SET used = q.used + m.amount, revision = p_revision
        FROM jsonb_to_recordset(v_moves) AS m(scope text, resource text, amount bigint)
        WHERE q.scope = m.scope COLLATE "C" AND q.resource = m.resource COLLATE "C" AND m.amount <> 0;
    END IF;
    RETURN v_refusal;
END $$;
