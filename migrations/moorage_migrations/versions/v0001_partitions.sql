-- Partitions of the change log, named by their first revision in 19 digits, so that names sort as numbers do.

-- Make [p_lower, p_upper) where nothing covers p_lower yet; whether it was made. CREATE TABLE ... PARTITION OF would lock
-- every reader and writer out; building the table apart and attaching it does not.
CREATE FUNCTION moorage_make_partition_1(p_lower bigint, p_upper bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_name text := 'revisions_' || lpad(p_lower::text, 19, '0');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('moorage partitions', 0));
    IF EXISTS (SELECT FROM moorage_partitions_1() p WHERE p_lower >= p.lower AND p_lower < p.upper) THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'CREATE TABLE %I (LIKE revisions INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (toast_tuple_target = 8160)', v_name);
    EXECUTE format('ALTER TABLE revisions ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', v_name, p_lower, p_upper);
    RETURN true;
END $$;

-- The attached partitions, oldest first. "pending" marks one whose concurrent detach was interrupted.
CREATE FUNCTION moorage_partitions_1(OUT name text, OUT lower bigint, OUT upper bigint, OUT bytes bigint, OUT pending boolean)
RETURNS SETOF record LANGUAGE sql STABLE AS $$
    SELECT c.relname,
           (regexp_match(b.bound, $r$FROM \('?(\d+)'?\)$r$))[1]::bigint,
           (regexp_match(b.bound, $r$TO \('?(\d+)'?\)$r$))[1]::bigint,
           pg_total_relation_size(c.oid),
           i.inhdetachpending
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) b
    WHERE i.inhparent = 'revisions'::regclass
    ORDER BY 2
$$;
