-- What tests of DDL are written with: differences(table) says where a shard
-- is defined differently from its table.

-- The query that describes a table: a line for everything that it and its
-- shards have in common.
CREATE FUNCTION describe_query(table_name text) RETURNS text LANGUAGE sql IMMUTABLE AS $f$
SELECT replace($$
    WITH t AS (SELECT RELID::regclass::oid AS relid)
    SELECT format('table: %s', ROW(relpersistence, relreplident, relrowsecurity, relforcerowsecurity, relispartition, reloptions,
        (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(relacl) a), relowner::regrole, relam, relkind,
        pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid))::text) FROM t JOIN pg_class ON oid = relid
    UNION ALL
    SELECT format('column %s: %s', attname, ROW(format_type(atttypid, atttypmod), attnotnull, attcollation::regcollation, attstorage,
        attcompression, attstattarget, (SELECT array_agg(o ORDER BY o) FROM unnest(attoptions) o WHERE o ~ '^n_distinct'),
        attacl, attgenerated)::text)
    FROM t JOIN pg_attribute ON attrelid = relid WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT format('default of %s: %s', attname, expression) FROM (SELECT attname, pg_get_expr(adbin, adrelid) AS expression
        FROM t JOIN pg_attribute ON attrelid = relid JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum OFFSET 0) d
    WHERE expression !~ 'nextval'
    UNION ALL
    SELECT format('constraint %s: %s %s', conname, pg_get_constraintdef(oid), convalidated)
    FROM t JOIN pg_constraint ON conrelid = relid WHERE contype NOT IN ('t', 'n')
    UNION ALL
    SELECT format('index: %s', ROW(pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident, reloptions,
        (SELECT array_agg(attstattarget ORDER BY attnum) FROM pg_attribute WHERE attrelid = indexrelid))::text)
    FROM t JOIN pg_index ON indrelid = relid JOIN pg_class ON oid = indexrelid
    UNION ALL
    SELECT format('statistics %s: %s %s', stxname, substring(pg_get_statisticsobjdef(oid), ' ON .*'), stxstattarget) FROM t JOIN pg_statistic_ext ON stxrelid = relid
    UNION ALL
    SELECT format('trigger: %s %s', pg_get_triggerdef(oid), tgenabled) FROM t JOIN pg_trigger ON tgrelid = relid
    WHERE NOT tgisinternal AND tgname !~ '^~pgcluster'
    UNION ALL
    SELECT format('policy %s: %s', polname, ROW(polcmd, polpermissive, (SELECT array_agg(r::regrole::text) FROM unnest(polroles) r),
        pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))::text) FROM t JOIN pg_policy ON polrelid = relid
$$, 'RELID', quote_literal(table_name))
$f$;

CREATE FUNCTION differences(of regclass) RETURNS SETOF text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    shard record;
    name text;
    ours text[];
    theirs text[];
    shards integer := 0;
BEGIN
    SELECT c.relname INTO name FROM pg_class c WHERE c.oid = of;
    EXECUTE format('SELECT array_agg(d) FROM (%s) q(d)', public.describe_query(of::text)) INTO ours;
    FOR shard IN SELECT s.shard_schema, g.group_id FROM cluster_shards s
        JOIN pgcluster.member_group g ON g.group_id = s.group_id OR s.group_id IS NULL OR s.group_id < 0
        WHERE s.table_name = of LOOP
        SELECT array_agg(regexp_replace(d[1], '([a-z]+)_[0-9]{6,}\.', '\1.', 'g')) INTO theirs
        FROM pgcluster.query_on_group(shard.group_id, public.describe_query(format('%I.%I', shard.shard_schema, name))) d;
        RETURN QUERY SELECT 'shell: ' || d FROM unnest(ours) d WHERE d <> ALL (theirs) OR theirs IS NULL
            UNION SELECT 'shard: ' || d FROM unnest(theirs) d WHERE d <> ALL (ours) ORDER BY 1;
        shards := shards + 1;
    END LOOP;
    RETURN QUERY SELECT 'no shards' WHERE shards = 0;
END $$;
