-- FOR UPDATE of all rows
SELECT * FROM r2 FOR UPDATE;

-- by another column
SELECT * FROM r1 WHERE s = 's1' FOR UPDATE;

-- with LIMIT
-- ordered
SELECT k, s FROM r1 WHERE b ORDER BY k LIMIT 3 FOR UPDATE;

-- of a queue
-- ordered
BEGIN;
SELECT k FROM r1 WHERE v > 3 ORDER BY n NULLS LAST, k LIMIT 1 FOR UPDATE SKIP LOCKED;
SELECT count(*) FROM (SELECT k FROM r1 FOR UPDATE NOWAIT) x;
COMMIT;

-- FOR SHARE, FOR NO KEY UPDATE, FOR KEY SHARE
SELECT k FROM r2 WHERE v = 2 FOR SHARE;
SELECT k FROM r2 WHERE v = 2 FOR NO KEY UPDATE;
SELECT k FROM r2 WHERE v = 2 FOR KEY SHARE;

-- of a join on the key
SELECT a.k, b.v FROM r1 a JOIN r2 b USING (k) FOR UPDATE;

-- of one side of it
SELECT a.k, b.v FROM r1 a JOIN r2 b USING (k) FOR UPDATE OF b;

-- of a join on another column
SELECT a.k, b.k FROM r1 a JOIN r2 b ON a.v = b.v FOR UPDATE;

-- of the side of an outer join that is not null
SELECT a.k, b.k FROM r1 a LEFT JOIN r2 b ON a.v = b.v FOR UPDATE OF a;

-- of the other
-- fails: 0A000
SELECT a.k, b.k FROM r1 a LEFT JOIN r2 b ON a.v = b.v FOR UPDATE OF b;

-- of some tables in different ways
SELECT a.k FROM r1 a JOIN r2 b USING (k) JOIN r6 c ON c.v = a.v FOR UPDATE OF a NOWAIT FOR SHARE OF c;

-- with a subquery in WHERE
SELECT k FROM r1 WHERE k IN (SELECT k FROM r2 WHERE v > 5) FOR UPDATE;

-- ... that is correlated on another column
SELECT k FROM r1 a WHERE v > (SELECT min(v) FROM r2 b WHERE b.s = a.s) FOR UPDATE;

-- of a subquery
SELECT * FROM (SELECT k, v FROM r1 WHERE b) x JOIN r6 ON r6.v = x.v FOR UPDATE OF x;

-- in a subquery
SELECT count(*), sum(v) FROM (SELECT v FROM r2 WHERE k > 3 FOR UPDATE) x;

-- in a CTE
WITH x AS (SELECT k FROM r2 WHERE v IS NULL FOR UPDATE) SELECT r1.k, r1.s FROM r1 JOIN x USING (k);

-- of a view
SELECT * FROM adults WHERE country = 'DE' FOR UPDATE;

-- of a local table beside others
BEGIN;
CREATE TEMP TABLE t AS SELECT k FROM r1;
SELECT t.k, r2.v FROM t JOIN r2 USING (k) FOR UPDATE OF t;
SELECT t.k, r2.v FROM t JOIN r2 USING (k) FOR UPDATE;
SELECT t.k FROM t WHERE EXISTS (SELECT FROM r2 WHERE r2.k = t.k) AND k NOT IN (SELECT v FROM r2 WHERE v IS NOT NULL) FOR UPDATE;
ROLLBACK;

-- a temporary table changed by a semi join
BEGIN;
CREATE TEMP TABLE t AS SELECT k, v FROM r1;
UPDATE t SET v = 0 WHERE k IN (SELECT k FROM r2);
DELETE FROM t USING (SELECT k, v FROM r2 WHERE b) x WHERE x.k = t.k;
UPDATE t SET v = (SELECT max(v) FROM r2 WHERE r2.k = t.k) WHERE EXISTS (SELECT FROM r3 JOIN r5 USING (k) WHERE r3.v = t.k);
SELECT * FROM t;
ROLLBACK;

-- with parameters
SET plan_cache_mode = force_generic_plan;
PREPARE q (text, int) AS SELECT k FROM r1 WHERE s = $1 ORDER BY k LIMIT $2 FOR UPDATE;
EXECUTE q ('s1', 2); EXECUTE q ('s2', NULL);

-- in PL/pgSQL, and changed then
BEGIN;
DO $$DECLARE r record; BEGIN FOR r IN SELECT k FROM r1 WHERE b FOR UPDATE LOOP UPDATE r1 SET n = 0 WHERE k = r.k; END LOOP; END$$;
SELECT count(*) FROM r1 WHERE n = 0;
ROLLBACK;

-- with groups
-- fails: 0A000
SELECT s, count(*) FROM r1 GROUP BY s FOR UPDATE;

-- with DISTINCT
-- fails: 0A000
SELECT DISTINCT s FROM r1 FOR UPDATE;

-- of a set operation
-- fails: 0A000
SELECT k FROM r1 UNION SELECT k FROM r2 FOR UPDATE;

-- in a transaction that only reads
-- fails: 25006
BEGIN READ ONLY;
SELECT k FROM r1 FOR UPDATE;
COMMIT;

-- through a cursor
-- ordered
BEGIN;
DECLARE c CURSOR FOR SELECT k FROM r1 WHERE v > 2 ORDER BY k FOR UPDATE;
FETCH 2 FROM c;
FETCH 1 FROM c;
COMMIT;

-- of a view that groups
-- fails: 0A000
SELECT * FROM order_totals FOR KEY SHARE;

-- of a lateral subquery on the nullable side
-- fails: 0A000
SELECT a.k FROM r1 a LEFT JOIN LATERAL (SELECT b.v FROM r6 b) x ON true FOR UPDATE;

-- of the nullable side, which a condition makes one that is not
SELECT b.k FROM r2 a RIGHT JOIN r1 b USING (k) WHERE a.v > 2 FOR UPDATE;

-- whole rows beside locked rows
SELECT to_jsonb(t1), t2.k FROM r1 t1 JOIN r3 t2 ON t1.d = t2.d WHERE (0, to_jsonb(t1)::text) IS DISTINCT FROM (t2.v, 's1') FOR UPDATE OF t1;
SELECT t1, t2, t2 IS NULL FROM r1 t1 LEFT JOIN r3 t2 ON t1.v = t2.k WHERE t1.k < 8 FOR UPDATE OF t1;
