-- What tests of plans are written with: plan_of(query) and plan_of(options, query)
-- say what EXPLAIN does, without what is another in each run.
CREATE FUNCTION plan_of(options text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF, ' || options || ') ' || query LOOP
        IF line !~ '^ *(Shard|Nodes?|Planning|Buffers|Batches|Sort Method|Index Searches): ?' THEN
            -- Releases differ in whether they write AS here, how many digits there, and in
            -- how they call the value of a subquery.
            line := regexp_replace(line, '((UPDATE|DELETE FROM|MERGE INTO) \S+) AS ', '\1 ');
            line := regexp_replace(line, 'rows=([0-9]+)\.00', 'rows=\1', 'g');
            line := regexp_replace(line, '(InitPlan [0-9]+) \(returns \$0\)', '\1');
            line := replace(line, '$0', '(InitPlan 1).col1');
            RETURN NEXT regexp_replace(line, '_[0-9]{6}[.]', '_#.', 'g');
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT plan_of('VERBOSE OFF', query) $$;
