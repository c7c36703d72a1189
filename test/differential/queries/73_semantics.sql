-- now() is one value
SELECT count(DISTINCT now()), count(DISTINCT current_timestamp), count(DISTINCT statement_timestamp()) FROM r2;

-- ... over several statements of a transaction
BEGIN;
CREATE TEMP TABLE t AS SELECT DISTINCT now() AS n FROM r2;
SELECT count(DISTINCT r2.k) FROM r2, t WHERE t.n = now();
SELECT count(*) FROM (SELECT now() FROM r1 UNION SELECT n FROM t) x;
ROLLBACK;

-- ... in conditions
SELECT count(*) FROM events WHERE at < now() AND at > now() - interval '100 years';

-- current_date, current_user, current_setting
SELECT DISTINCT current_date = now()::date, current_user, session_user, current_setting('DateStyle'), current_database() = current_catalog FROM r2;

-- random() is evaluated for each row
SELECT count(DISTINCT x) > 20 FROM (SELECT random() AS x FROM r2) y;

-- ... and once where it is named once
SELECT count(*) FROM (SELECT x, x AS y FROM (SELECT random() AS x FROM r2 OFFSET 0) z) w WHERE x = y;

-- ... in a condition
SELECT count(*) BETWEEN 0 AND 30 FROM r2 WHERE random() < 0.5;

-- ... in a subquery that is run once
SELECT count(DISTINCT x) FROM (SELECT (SELECT random()) AS x FROM r2) y;

-- setseed makes it repeatable where it is evaluated here
SELECT setseed(0.5);
SELECT count(*) FROM r6 WHERE random() >= 0;

-- a sequence of the session
BEGIN;
CREATE TEMP SEQUENCE numbers;
SELECT count(DISTINCT nextval('numbers')) FROM r2;
SELECT k, nextval('numbers') > 30 FROM r1;
SELECT currval('numbers');
ROLLBACK;

-- a volatile function of the user sees each row once
BEGIN;
CREATE TEMP TABLE seen (k int);
CREATE FUNCTION pg_temp.see(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES ($1); RETURN $1; END';
SELECT count(pg_temp.see(k)) FROM r1;
SELECT count(*), count(DISTINCT k) FROM seen;
SELECT count(*) FROM r1 WHERE pg_temp.see(k) > 10;
SELECT count(*) FROM seen;
ROLLBACK;

-- own writes, in every tier
BEGIN;
UPDATE kv SET n = 1000 WHERE key = 'k3';
SELECT n FROM kv WHERE key = 'k3';
SELECT count(*) FROM kv WHERE n = 1000;
SELECT a.key FROM kv a JOIN r1 ON a.n = r1.k + 999;
SELECT a.key, b.key FROM kv a JOIN kv b USING (key) WHERE a.n = 1000;
WITH x AS MATERIALIZED (SELECT * FROM kv) SELECT count(*) FROM x, r6 WHERE x.n = 1000 AND r6.k = 1;
ROLLBACK;
SELECT n FROM kv WHERE key = 'k3';

-- ... after a savepoint that is undone
BEGIN;
SAVEPOINT s;
DELETE FROM kv;
SELECT count(*) FROM kv;
ROLLBACK TO s;
SELECT count(*) FROM kv;
ROLLBACK;

-- isolation levels
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM kv;
SELECT count(*), sum(n) FROM kv;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT count(*) FROM kv;
COMMIT;

-- row security of a role
BEGIN;
CREATE ROLE reader;
CREATE TEMP TABLE t AS SELECT k, v FROM r1;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t USING (k < 5);
GRANT SELECT ON t, r2 TO reader;
SET ROLE reader;
SELECT * FROM t;
ROLLBACK;

-- no right to read
-- fails: 42501
BEGIN;
CREATE ROLE reader;
SET ROLE reader;
SELECT * FROM orders;
ROLLBACK;

-- an error of a row
-- fails: 22012
SELECT k / (k - 3) FROM r1;

-- ... in a condition
-- fails: 22012
SELECT count(*) FROM r2 WHERE 1 / (v - v) = 0;

-- ... in an aggregate
-- fails: 22012
SELECT sum(1 / (k - 3)) FROM r1;

-- ... in a join
-- fails: 22012
SELECT a.k FROM r1 a JOIN r2 b ON a.k = b.k WHERE 1 / (a.k - a.k) = 0;

-- ... of a cast
-- fails: 22P02
SELECT s::int FROM r1;

-- ... of a date
-- fails: 22007
SELECT s::date FROM r1;

-- ... of a regular expression
-- fails: 2201B
SELECT k FROM r1 WHERE s ~ '[';

-- ... of LIKE
-- fails: 22025
SELECT k FROM r1 WHERE s LIKE '\';

-- ... of json
-- fails: 22P02
SELECT s::json FROM r1;

-- ... of an overflow in one shard only
-- fails: 22003
SELECT k * 200000000 FROM r1;

-- ... of sqrt
-- fails: 2201F
SELECT sqrt(-k) FROM r1;

-- ... and what follows in the transaction
-- fails: 22012 25P02
BEGIN;
SELECT 1 / (k - k) FROM r1;
SELECT 1 FROM r2;
ROLLBACK;

-- an unknown column
-- fails: 42703
SELECT nowhere FROM r1;

-- an ambiguous one
-- fails: 42702
SELECT k FROM r1, r2;

-- not grouped
-- fails: 42803
SELECT k, v, count(*) FROM r2 GROUP BY k;

-- an aggregate where none may be
-- fails: 42803
SELECT k FROM r1 WHERE count(*) > 1;

-- a window where none may be
-- fails: 42P20
SELECT k FROM r1 WHERE rank() OVER () > 1;

-- types that do not fit
-- fails: 42883
SELECT k FROM r1 WHERE s = 1;

-- a set operation of different widths
-- fails: 42601
SELECT k, v FROM r1 UNION SELECT k FROM r2;

-- a full join that cannot be
-- fails: 0A000
SELECT a.k FROM r1 a FULL JOIN r2 b ON a.k < b.k;

-- prepared, with each kind of plan
SET plan_cache_mode = force_custom_plan;
PREPARE q (int) AS SELECT a.k, b.v, (SELECT count(*) FROM r3 c WHERE c.v = $1) FROM r1 a LEFT JOIN r2 b ON a.k = b.k WHERE a.v > $1 OR b.v = $1;
EXECUTE q (3); EXECUTE q (NULL);
SET plan_cache_mode = force_generic_plan;
EXECUTE q (3); EXECUTE q (NULL); EXECUTE q (100);

-- prepared, run often enough to become generic
PREPARE q (int, text) AS SELECT count(*), min(b.n) FROM r1 a JOIN r2 b USING (k) WHERE a.s = $2 AND b.v <> $1;
EXECUTE q (1, 's1'); EXECUTE q (2, 's2'); EXECUTE q (3, 's3'); EXECUTE q (4, 's4'); EXECUTE q (5, 's5'); EXECUTE q (6, 's1'); EXECUTE q (NULL, 's2'); EXECUTE q (7, NULL);

-- prepared, with a list
SET plan_cache_mode = force_generic_plan;
PREPARE q (int[]) AS SELECT k, s FROM r2 WHERE k = ANY ($1) OR v = ANY ($1);
EXECUTE q ('{1,2}'); EXECUTE q ('{}'); EXECUTE q (NULL); EXECUTE q ('{NULL,3}');

-- prepared, in groups and windows
SET plan_cache_mode = force_generic_plan;
PREPARE q (int) AS SELECT v + $1, count(*), sum(count(*)) OVER () FROM r2 GROUP BY v + $1;
EXECUTE q (1); EXECUTE q (NULL);

-- a scroll cursor, both ways
-- ordered
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT a.k, count(*) FROM r1 a JOIN r2 b ON a.v = b.v GROUP BY a.k ORDER BY a.k;
FETCH 4 FROM c; FETCH BACKWARD 2 FROM c; FETCH ABSOLUTE 7 FROM c; FETCH RELATIVE -3 FROM c; FETCH LAST FROM c; FETCH PRIOR FROM c; MOVE BACKWARD ALL IN c; FETCH 1 FROM c;
COMMIT;

-- a scroll cursor over a piece
-- ordered
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k, v FROM r2 ORDER BY k, v NULLS FIRST, s;
FETCH 3 FROM c; FETCH BACKWARD 2 FROM c; FETCH ALL FROM c; FETCH BACKWARD 3 FROM c;
COMMIT;

-- a cursor that outlives its transaction
-- ordered
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT a.k, b.v FROM r1 a LEFT JOIN r4 b ON a.k = b.k ORDER BY 1, 2;
FETCH 2 FROM c;
COMMIT;
FETCH 3 FROM c;
CLOSE c;

-- a cursor without SCROLL goes forward only
-- fails: 55000
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT k FROM r1;
FETCH 1 FROM c;
FETCH BACKWARD 1 FROM c;
ROLLBACK;

-- COPY of queries
COPY (SELECT a.k, b.v, a.s FROM r1 a LEFT JOIN r2 b USING (k) ORDER BY 1, 2, 3) TO STDOUT;
COPY (SELECT s, count(*) FROM r2 GROUP BY s ORDER BY s) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY (SELECT r1 FROM r1 ORDER BY k LIMIT 2) TO STDOUT;

-- tables made of queries
BEGIN;
CREATE TEMP TABLE t AS SELECT a.k, b.v FROM r1 a JOIN r2 b ON a.v = b.v;
SELECT count(*), sum(k) FROM t;
SELECT s, count(*) INTO TEMP u FROM r2 GROUP BY s;
SELECT * FROM u;
ROLLBACK;

-- ... and without rows
BEGIN;
CREATE TEMP TABLE t AS SELECT k, sum(v) AS n FROM r2 GROUP BY k WITH NO DATA;
SELECT count(*) FROM t;
INSERT INTO t SELECT k, sum(v) FROM r2 GROUP BY k;
SELECT * FROM t;
ROLLBACK;

-- a materialized view, refreshed
BEGIN;
CREATE MATERIALIZED VIEW m AS SELECT a.s, count(*) AS n FROM r1 a JOIN r2 b USING (k) GROUP BY a.s;
SELECT * FROM m;
REFRESH MATERIALIZED VIEW m;
SELECT m.s, r4.k FROM m JOIN r4 USING (s);
ROLLBACK;

-- loops in PL/pgSQL
BEGIN;
CREATE TEMP TABLE t (k int, v int);
DO $$DECLARE r record; BEGIN FOR r IN SELECT a.k, b.v FROM r1 a JOIN r2 b ON a.k = b.k ORDER BY 1, 2 LOOP INSERT INTO t VALUES (r.k, r.v); END LOOP; END$$;
DO $$DECLARE x int; y int; BEGIN SELECT max(v), count(*) INTO x, y FROM r2 WHERE s = 's1'; INSERT INTO t VALUES (x, y); EXECUTE 'SELECT sum(v) FROM r2 WHERE k > $1' INTO x USING 4; INSERT INTO t VALUES (x, NULL); END$$;
SELECT * FROM t;
ROLLBACK;

-- a recursive function
BEGIN;
CREATE FUNCTION pg_temp.chain(int, int) RETURNS int LANGUAGE plpgsql AS 'DECLARE n int; BEGIN IF $2 = 0 THEN RETURN $1; END IF; SELECT v INTO n FROM r1 WHERE k = $1; RETURN pg_temp.chain(n, $2 - 1); END';
SELECT k, pg_temp.chain(k, 3) FROM r1;
ROLLBACK;

-- settings of the planner do not change rows
SET enable_hashagg = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT a.k, b.v FROM r1 a JOIN r2 b ON a.v = b.v WHERE a.k < 9;
SELECT s, count(*) FROM r2 GROUP BY s;
SET enable_nestloop = off; SET enable_sort = off; RESET enable_mergejoin;
SELECT a.k, b.v FROM r1 a FULL JOIN r2 b ON a.v = b.v WHERE coalesce(a.k, 0) < 9;

-- from_collapse_limit and join_collapse_limit
SET from_collapse_limit = 1; SET join_collapse_limit = 1;
SELECT a.k, x.v FROM r1 a JOIN (SELECT b.k, c.v FROM r2 b JOIN r3 c USING (k)) x ON a.k = x.k;

-- constraint_exclusion, geqo
SET geqo_threshold = 2;
SELECT count(*) FROM r1 a, r2 b, r3 c, r5 d WHERE a.k = b.k AND b.v = c.v AND d.k = c.k;

-- work_mem that is too little
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT x) FROM (SELECT a.k || b.s || c.k::text AS x FROM r1 a, r2 b, r2 c) y;

-- transform_null_equals, and quoted names
SET transform_null_equals = on;
SELECT k FROM r1 WHERE v = NULL;
SELECT "Mixed Case" FROM types WHERE "Mixed Case" LIKE '%1';

-- search_path in a statement's names
-- fails: 42P01
SET search_path = pg_catalog;
SELECT 1 FROM r1;

-- standard_conforming_strings, backslash_quote
SET standard_conforming_strings = off; SET escape_string_warning = off;
SELECT k, 'a\tb' FROM r1 WHERE s <> '\\' AND k < 3;

-- array_nulls
SET array_nulls = off;
SELECT a, '{NULL,1}'::text[] FROM r2 WHERE a::text LIKE '%NULL%';
