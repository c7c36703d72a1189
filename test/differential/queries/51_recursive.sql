-- numbers
WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT t.n, r1.s FROM t LEFT JOIN r1 ON r1.k = t.n;

-- along a table, by its key
WITH RECURSIVE t (k, v, depth) AS (SELECT k, v, 0 FROM r1 WHERE k = 2 UNION ALL SELECT r.k, r.v, depth + 1 FROM t JOIN r1 r ON r.k = t.v WHERE depth < 5) SELECT * FROM t;

-- along a table, by another column
WITH RECURSIVE t (k, depth) AS (SELECT k, 0 FROM r1 WHERE v IS NULL UNION SELECT r.k, depth + 1 FROM t JOIN r2 r ON r.v = t.k WHERE depth < 4) SELECT * FROM t;

-- UNION ends a circle
WITH RECURSIVE t (k) AS (SELECT 1 UNION SELECT r.v FROM t JOIN r1 r ON r.k = t.k) SELECT * FROM t;

-- SEARCH DEPTH FIRST
-- ordered
WITH RECURSIVE t (k, v) AS (SELECT k, v FROM r1 WHERE k < 3 UNION ALL SELECT r.k, r.v FROM t JOIN r1 r ON r.v = t.k AND r.k > t.k) SEARCH DEPTH FIRST BY k SET seq SELECT k, v FROM t ORDER BY seq;

-- SEARCH BREADTH FIRST
-- ordered
WITH RECURSIVE t (k, v) AS (SELECT k, v FROM r1 WHERE k < 3 UNION ALL SELECT r.k, r.v FROM t JOIN r1 r ON r.v = t.k AND r.k > t.k) SEARCH BREADTH FIRST BY k SET seq SELECT k, v FROM t ORDER BY seq, k;

-- CYCLE
WITH RECURSIVE t (k, v) AS (SELECT k, v FROM r1 WHERE k = 1 UNION ALL SELECT r.k, r.v FROM t JOIN r1 r ON r.k = t.v) CYCLE k SET again USING path SELECT k, v, again, path::text FROM t;

-- two recursive queries
WITH RECURSIVE a (n) AS (SELECT min(k) FROM r2 UNION ALL SELECT n + 1 FROM a WHERE n < 4), b (n) AS (SELECT n FROM a UNION SELECT r.v FROM b JOIN r1 r ON r.k = b.n) SELECT * FROM b;

-- a recursive query in a subquery
SELECT k, (WITH RECURSIVE t (n) AS (SELECT r1.k UNION ALL SELECT n + 3 FROM t WHERE n < 10) SELECT count(*) FROM t) FROM r1;

-- one that is limited
WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT (SELECT count(*) FROM r6);

-- outer references in the recursive part
WITH RECURSIVE t (n, s) AS (SELECT k, s FROM r1 WHERE k < 3 UNION ALL SELECT n + 10, (SELECT max(r2.s) FROM r2 WHERE r2.k = t.n) FROM t WHERE n < 20) SELECT * FROM t;

-- MATERIALIZED
WITH a AS MATERIALIZED (SELECT k, v FROM r2 WHERE v > 2) SELECT a.k, r1.s FROM a JOIN r1 USING (k) WHERE a.k < 9;

-- NOT MATERIALIZED, used twice
WITH a AS NOT MATERIALIZED (SELECT k, v FROM r2 WHERE v > 2) SELECT x.k, y.v FROM a x JOIN a y ON x.k = y.k;

-- used twice, joined on the key
WITH a AS (SELECT k, sum(v) AS n FROM r2 GROUP BY k) SELECT x.k, x.n, y.n FROM a x JOIN a y ON x.k = y.k;

-- used twice, joined on another column
WITH a AS (SELECT k, sum(v) AS n FROM r2 GROUP BY k) SELECT x.k, y.k FROM a x JOIN a y ON x.n = y.n AND x.k < y.k;

-- used in FROM and in WHERE
WITH a AS (SELECT k, v FROM r2) SELECT count(*) FROM a WHERE v = (SELECT max(v) FROM a);

-- used three times
WITH a AS (SELECT s, count(*) AS n FROM r2 GROUP BY s) SELECT (SELECT max(n) FROM a), (SELECT min(n) FROM a), count(*) FROM a;

-- one that uses another
WITH a AS (SELECT k, v FROM r2), b AS (SELECT k, max(v) AS m FROM a GROUP BY k), c AS (SELECT a.k, b.m FROM a JOIN b USING (k)) SELECT * FROM c WHERE m > 3;

-- one that hides a table
WITH r1 AS (SELECT k, 'mine' AS s FROM r2 WHERE k = 1) SELECT * FROM r1;

-- nested WITH
WITH a AS (WITH b AS (SELECT k FROM r1 WHERE b) SELECT k, count(*) OVER () AS n FROM b) SELECT a.n, r2.v FROM a JOIN r2 USING (k);

-- WITH in a subquery of FROM
SELECT x.k, x.c FROM (WITH a AS (SELECT k, count(*) AS c FROM r2 GROUP BY k) SELECT * FROM a WHERE c > 1) x;

-- WITH that names the outer query
SELECT r1.k, (WITH a AS (SELECT v FROM r2 WHERE r2.k = r1.k) SELECT count(*) + coalesce(sum(v), 0) FROM a) FROM r1;

-- one that is not used
WITH a AS (SELECT 1 / (k - k) AS x FROM r1) SELECT count(*) FROM r2;

-- one with ORDER BY and LIMIT
WITH a AS (SELECT k, v FROM r1 ORDER BY n DESC NULLS LAST, k LIMIT 4) SELECT a.k, r2.v FROM a LEFT JOIN r2 USING (k);

-- one of VALUES
WITH a (k, w) AS (VALUES (1, 'one'), (2, 'two'), (99, 'no')) SELECT a.w, r1.s FROM a LEFT JOIN r1 USING (k);

-- one of a set operation
WITH a AS (SELECT k FROM r1 EXCEPT SELECT k FROM r5) SELECT count(*), min(a.k) FROM a JOIN r2 USING (k);

-- a data modifying one, of a temporary table
CREATE TEMP TABLE t (k int, v int);
WITH i AS (INSERT INTO t SELECT k, v FROM r1 WHERE k < 5 RETURNING k, v) SELECT i.k, r2.s FROM i JOIN r2 USING (k);
WITH d AS (DELETE FROM t WHERE k IN (SELECT k FROM r5) RETURNING *) SELECT count(*), sum(v) FROM d;
WITH u AS (UPDATE t SET v = r2.v FROM r2 WHERE r2.k = t.k AND r2.v = (SELECT max(v) FROM r2 x WHERE x.k = t.k) RETURNING t.*) SELECT * FROM u;
SELECT * FROM t;

-- ... that is not read
CREATE TEMP TABLE t AS SELECT k FROM r1;
WITH d AS (DELETE FROM t WHERE k > 10) SELECT count(*) FROM r2;
SELECT count(*) FROM t;

-- one that members of a set operation name
WITH c AS (SELECT k, v FROM r1) SELECT a.k FROM r1 a JOIN c ON a.v = c.k JOIN (SELECT b.k FROM c x JOIN r1 b ON x.k = b.v INTERSECT SELECT k FROM c) y ON a.k = y.k;
