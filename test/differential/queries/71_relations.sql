-- VALUES alone
VALUES (1, 'a'), (2, NULL);

-- generate_series with timestamps
SELECT d::date, count(r1.k) FROM generate_series(timestamp '2024-02-25', '2024-03-05', '1 day') d LEFT JOIN r1 ON r1.d = d GROUP BY 1;

-- ROWS FROM
SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'b'])) AS x (i, s) LEFT JOIN r1 ON r1.k = x.i;

-- ROWS FROM WITH ORDINALITY
SELECT * FROM ROWS FROM (generate_series(5, 7), json_each('{"a": 1}')) WITH ORDINALITY AS x (i, key, value, o) JOIN r1 ON r1.k = x.o;

-- unnest of several arrays of a row
SELECT r2.k, u.x, u.o FROM r2 CROSS JOIN LATERAL unnest(a) WITH ORDINALITY AS u (x, o) WHERE k < 5;

-- a function with a column definition list
SELECT r1.k, x.a FROM r1 JOIN json_to_recordset('[{"k": 1, "a": "x"}, {"k": 2, "a": "y"}]') AS x (k int, a text) ON x.k = r1.k;

-- jsonb_to_record over a column
SELECT u.user_id, x.level FROM users u, jsonb_to_record(u.profile) AS x (level int, nick text) WHERE u.user_id < 20;

-- jsonb_array_elements, jsonb_path_query
SELECT product_id, e FROM products, jsonb_array_elements(attributes -> 'colors') e WHERE product_id < 7;

-- jsonb paths
SELECT user_id, jsonb_path_query_first(profile, '$.opts.dark'), profile @? '$.level ? (@ > 5)' FROM users WHERE profile @@ '$.level < 8';

-- XMLTABLE
SELECT r1.k, x.i FROM r1, XMLTABLE('/a/b' PASSING xmlparse(document '<a><b>1</b><b>2</b></a>') COLUMNS i int PATH '.') x WHERE r1.k < 3;

-- regexp_matches and string_to_table
SELECT s, m FROM r4, regexp_matches(s, '(s)(\d+)') m WHERE k = 1;
SELECT name, w FROM users, string_to_table(name, ' ') w WHERE user_id < 4;

-- functions that return sets in the select list
SELECT k, unnest(a) FROM r2 WHERE k < 4;

-- ... nested
SELECT generate_series(1, generate_series(1, k)) FROM r1 WHERE k < 4;

-- ... with an aggregate
SELECT s, count(*), generate_series(1, 2) FROM r2 GROUP BY s;

-- TABLESAMPLE of everything
SELECT count(*) FROM r2 TABLESAMPLE BERNOULLI (100);

-- TABLESAMPLE of nothing
SELECT count(*) FROM r2 TABLESAMPLE SYSTEM (0);

-- TABLESAMPLE, repeatable, within bounds
SELECT count(*) BETWEEN 0 AND 30 FROM r2 TABLESAMPLE BERNOULLI (50) REPEATABLE (7);

-- TABLESAMPLE with a parameter
PREPARE q (real) AS SELECT count(*) FROM r2 TABLESAMPLE BERNOULLI ($1);
EXECUTE q (100); EXECUTE q (0);

-- TABLESAMPLE with an expression
SELECT count(*) FROM r2 TABLESAMPLE BERNOULLI (50 * 2), r6;

-- TABLESAMPLE with a subquery
SELECT count(*) FROM r2 TABLESAMPLE BERNOULLI ((SELECT 100));

-- TABLESAMPLE, lateral
SELECT x.c FROM (VALUES (0), (100)) p (f), LATERAL (SELECT count(*) FROM r2 TABLESAMPLE BERNOULLI (p.f)) x (c);

-- TABLESAMPLE out of range
-- fails: 2202H
SELECT count(*) FROM r2 TABLESAMPLE BERNOULLI (200);

-- ONLY, and *
SELECT count(*) FROM ONLY r2;
SELECT count(*) FROM r2 *;

-- aliases of columns
SELECT x.a, x.c FROM r1 AS x (a, b, c) WHERE x.a < 4;

-- a whole row
SELECT r1 FROM r1 WHERE k < 4;

-- ... by an alias with other names
SELECT x FROM r1 AS x (a, b) WHERE a < 4;

-- ... of the nullable side
SELECT a.k, b FROM r1 a LEFT JOIN r5 b USING (k);

-- ... of a subquery
SELECT x FROM (SELECT k, s FROM r1 WHERE k < 4) x;

-- ... of a join
SELECT j FROM (r1 a JOIN r5 b USING (k)) AS j WHERE j.k < 5;

-- ... in a function
SELECT to_jsonb(r1), row_to_json(r1) FROM r1 WHERE k < 4;

-- ... compared
SELECT a.k FROM r1 a JOIN r1 b ON a = b;

-- ... compared with a row
SELECT k FROM r6 WHERE r6 = ROW (1, 1, 's1', 1.5, '2024-02-29', true, '{1}')::r6;

-- ... null or not
SELECT k FROM r1 WHERE r1 IS NOT NULL;
SELECT a.k FROM r1 a LEFT JOIN r5 b ON a.k = b.k WHERE b IS NULL;

-- ... counted and grouped
SELECT count(r6), count(DISTINCT r6) FROM r6;
SELECT x, count(*) FROM (SELECT r5.v, r5.b FROM r5) x GROUP BY x;

-- a field of a whole row
SELECT (r1).s, (r1.*) IS NULL FROM r1 WHERE (r1).k = 3;

-- * of a row
SELECT (x).* FROM (SELECT r1 AS x FROM r1 WHERE k < 3) y;

-- tableoid
SELECT DISTINCT tableoid::regclass::text LIKE '%r1' FROM r1;

-- system columns
-- refused: they mean nothing here
SELECT ctid FROM orders;

-- ... xmin in WHERE
-- refused: they mean nothing here
SELECT user_id FROM users WHERE xmin::text::int > 0;

-- views
SELECT * FROM order_totals WHERE user_id = 8;
SELECT count(*), sum(spent) FROM order_totals;
SELECT v.category, count(*) FROM item_names v GROUP BY 1;
SELECT a.name, t.orders FROM adults a LEFT JOIN order_totals t USING (user_id);

-- a view over a view
BEGIN;
CREATE TEMP VIEW w AS SELECT country, sum(orders) AS n FROM adults JOIN order_totals USING (user_id) GROUP BY country;
SELECT * FROM w;
SELECT * FROM w WHERE n > 20;
ROLLBACK;

-- a security barrier view
BEGIN;
CREATE TEMP VIEW w WITH (security_barrier) AS SELECT k, s, v FROM r2 WHERE v > 2;
SELECT * FROM w WHERE k = 3;
SELECT s, count(*) FROM w GROUP BY s;
SELECT w.k, r1.s FROM w JOIN r1 USING (k) WHERE r1.b;
ROLLBACK;

-- a view with CHECK OPTION, one with ORDER BY
BEGIN;
CREATE TEMP VIEW w AS SELECT k, s FROM r1 ORDER BY k DESC LIMIT 4;
SELECT w.k, r2.v FROM w JOIN r2 USING (k);
ROLLBACK;

-- a temporary table, joined in all ways
BEGIN;
CREATE TEMP TABLE t (k int, w text);
INSERT INTO t SELECT i, 'w' || i FROM generate_series(1, 40, 4) i;
SELECT t.k, t.w, r1.s FROM t JOIN r1 USING (k);
SELECT t.k, r1.s FROM t FULL JOIN r1 USING (k);
SELECT t.k FROM t WHERE NOT EXISTS (SELECT FROM r1 WHERE r1.k = t.k);
SELECT r1.k FROM r1 WHERE k IN (SELECT k FROM t);
SELECT r1.k, (SELECT w FROM t WHERE t.k = r1.v) FROM r1;
SELECT k FROM t UNION SELECT k FROM r2;
ROLLBACK;

-- inherited and partitioned temporary tables
BEGIN;
CREATE TEMP TABLE t (k int, w text) PARTITION BY LIST (k);
CREATE TEMP TABLE t1 PARTITION OF t FOR VALUES IN (1, 2, 3);
CREATE TEMP TABLE t2 PARTITION OF t DEFAULT;
INSERT INTO t SELECT i, 'w' || i FROM generate_series(1, 9) i;
SELECT t.k, r2.v FROM t JOIN r2 USING (k);
SELECT k, v FROM r2 WHERE k IN (SELECT k FROM t WHERE k < 3);
ROLLBACK;

-- a foreign table
BEGIN;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE pg_temp.f (k int, w text) SERVER files OPTIONS (program 'printf "1,one\n3,three\n99,none\n"', format 'csv');
SELECT f.w, r1.s FROM pg_temp.f LEFT JOIN r1 USING (k);
SELECT r2.k, r2.v FROM r2 WHERE k IN (SELECT k FROM pg_temp.f);
SELECT f.k, count(r2.v) FROM pg_temp.f LEFT JOIN r2 ON r2.v = f.k GROUP BY f.k;
ROLLBACK;

-- catalogs joined with tables
SELECT c.relkind, count(*) FROM pg_class c JOIN r6 ON r6.v = 1 AND c.relname = 'r1' AND c.relnamespace = current_schema()::regnamespace GROUP BY 1;

-- a SQL function that is inlined in FROM
BEGIN;
CREATE FUNCTION pg_temp.of_key(int) RETURNS TABLE (k int, v int) LANGUAGE sql STABLE AS 'SELECT k, v FROM r2 WHERE k = $1';
SELECT * FROM pg_temp.of_key(3);
SELECT r1.k, f.v FROM r1, pg_temp.of_key(r1.k) f;
SELECT r1.k, f.v FROM r1 LEFT JOIN pg_temp.of_key(r1.v) f ON true;
ROLLBACK;

-- a SQL function that is inlined in an expression
BEGIN;
CREATE FUNCTION pg_temp.plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
SELECT k, pg_temp.plus(k, v) FROM r1 WHERE pg_temp.plus(k, 1) = 5;
SELECT sum(pg_temp.plus(k, v)) FROM r2;
ROLLBACK;

-- a SQL function that is not, and one that reads a table
BEGIN;
CREATE FUNCTION pg_temp.how_many(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM r2 WHERE k = $1';
SELECT k, pg_temp.how_many(k) FROM r1;
SELECT count(*) FROM r1 WHERE pg_temp.how_many(k) > 1;
ROLLBACK;

-- a PL/pgSQL function over a column
BEGIN;
CREATE FUNCTION pg_temp.twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 2 * $1; END';
SELECT k, pg_temp.twice(v) FROM r1 WHERE pg_temp.twice(k) < 12;
SELECT pg_temp.twice(v), count(*) FROM r2 GROUP BY 1;
SELECT a.k, b.k FROM r1 a JOIN r2 b ON pg_temp.twice(a.k) = b.k;
SELECT k FROM r1 WHERE k = pg_temp.twice(3);
ROLLBACK;

-- a function that returns a set, with OUT parameters
BEGIN;
CREATE FUNCTION pg_temp.pairs(n int, OUT a int, OUT b text) RETURNS SETOF record LANGUAGE plpgsql AS 'BEGIN FOR i IN 1..n LOOP a := i; b := chr(64 + i); RETURN NEXT; END LOOP; END';
SELECT r1.k, p.b FROM r1 JOIN pg_temp.pairs(5) p ON p.a = r1.k;
SELECT r1.k, (pg_temp.pairs(k)).* FROM r1 WHERE k < 3;
ROLLBACK;

-- a relation of no column
SELECT count(*) FROM (SELECT FROM r1) x;

-- FROM nothing
SELECT 1 WHERE EXISTS (SELECT FROM r1);

-- a subquery without an alias for its columns
SELECT * FROM (SELECT k, count(*) FROM r2 GROUP BY k) x WHERE count > 1;
