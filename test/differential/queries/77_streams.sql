-- rows without columns
SELECT FROM orders;

-- rows longer than a message is meant to be
SELECT user_id, repeat(name, 10000), NULL::text FROM users;

-- rows of nulls
SELECT NULL::int, NULL::text, note FROM orders WHERE note IS NULL;

-- an error after the first rows
-- fails: 22012
SELECT user_id, 10 / (user_id - 59) FROM users;

-- ... in a transaction that goes on
-- fails: 22012
BEGIN;
SAVEPOINT s;
SELECT count(10 / (user_id - 59)) FROM users;
ROLLBACK TO s;
SELECT count(*) FROM users;
COMMIT;

-- another encoding of the client
SET client_encoding = latin1;
SELECT name, note FROM orders JOIN users USING (user_id);

-- settings that change how values look
SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape'; SET extra_float_digits = 0; SET timezone = 'Asia/Kolkata';
SELECT * FROM types;
SELECT d, ts, tz, iv, b, f8 FROM types WHERE i8 IS NOT NULL;
SELECT tz, reading FROM (SELECT at AS tz, reading FROM events) e;

-- the first few rows of many
SELECT count(*) FROM (SELECT * FROM order_items LIMIT 7) s;

-- ... again and again, in a transaction
BEGIN;
SELECT count(*) FROM (SELECT * FROM order_items OFFSET 3 LIMIT 7) s;
SELECT count(*) FROM (SELECT * FROM order_items OFFSET 3 LIMIT 7) s;
UPDATE kv SET n = n + 1 WHERE key = 'k3';
SELECT n FROM kv WHERE key = 'k3';
ROLLBACK;

-- a query run for each row of another
CREATE FUNCTION pg_temp.count_of(integer) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$BEGIN RETURN (SELECT count(*) FROM orders WHERE user_id = $1); END$$;
SELECT user_id, pg_temp.count_of(user_id) FROM users;
SELECT sum(pg_temp.count_of(user_id)) FROM users JOIN regions USING (country);

-- a stable one
CREATE FUNCTION pg_temp.sum_of(integer) RETURNS numeric LANGUAGE plpgsql STABLE AS $$BEGIN RETURN (SELECT sum(total) FROM orders WHERE user_id <= $1); END$$;
SELECT user_id, pg_temp.sum_of(user_id) FROM users ORDER BY 1;

-- a loop over rows that changes others
DO $$DECLARE r record; BEGIN FOR r IN SELECT user_id, order_id FROM orders LOOP UPDATE gaps SET a = coalesce(a, 0) + 1 WHERE id = r.user_id; END LOOP; END$$;

-- a loop over rows that it changes
DO $$DECLARE r record; n int := 0; BEGIN FOR r IN SELECT key, k.n FROM kv k LOOP UPDATE kv SET n = kv.n + 1000 WHERE key = r.key; n := n + r.n; END LOOP; RAISE NOTICE '%', n; END$$;

-- cursors side by side
BEGIN;
DECLARE a CURSOR FOR SELECT order_id FROM orders ORDER BY order_id;
DECLARE b CURSOR FOR SELECT order_id, line FROM order_items ORDER BY 1, 2;
FETCH 2 FROM a; FETCH 2 FROM b; FETCH 2 FROM a; FETCH 2 FROM b;
COMMIT;

-- a cursor does not see what comes after it
BEGIN;
DECLARE a CURSOR FOR SELECT n FROM kv;
UPDATE kv SET n = -1;
FETCH ALL FROM a;
ROLLBACK;

-- ... nor does one of a single key, or one in a function
BEGIN;
DECLARE a CURSOR FOR SELECT n FROM kv WHERE key = 'k3';
DO $$DECLARE c CURSOR FOR SELECT k.n FROM kv k WHERE k.n < 5; v int; s int := 0; BEGIN OPEN c; UPDATE kv SET n = 3; LOOP FETCH c INTO v; EXIT WHEN NOT FOUND; s := s + v; END LOOP; RAISE NOTICE 'sum %', s; END$$;
FETCH ALL FROM a;
ROLLBACK;

-- a cursor that is read in part does not see it either
BEGIN;
DECLARE a CURSOR FOR SELECT status FROM orders;
MOVE 5 IN a;
DELETE FROM order_items;
UPDATE orders SET status = 'gone';
CREATE TEMP TABLE t (s text);
DO $$DECLARE c refcursor := 'a'; v text; BEGIN LOOP FETCH c INTO v; EXIT WHEN NOT FOUND; INSERT INTO t VALUES (v); END LOOP; END$$;
SELECT count(*), count(*) FILTER (WHERE s = 'gone') FROM t;
ROLLBACK;

-- merge and hash joins of streams
SET enable_hashjoin = off;
SELECT count(*), sum(m.value) FROM orders o JOIN measurements m ON m.sensor = o.order_id;
SET enable_mergejoin = off;
SELECT count(*), sum(m.value) FROM orders o JOIN measurements m ON m.sensor = o.order_id;

-- COPY of a query, and of a table
COPY (SELECT user_id, total FROM orders WHERE total > 400 ORDER BY order_id) TO STDOUT;
COPY (SELECT o.order_id, m.value FROM orders o JOIN measurements m ON m.sensor = o.order_id ORDER BY 1, 2) TO STDOUT (FORMAT csv);

-- an INSERT of what is read
INSERT INTO nothing SELECT user_id, name FROM users WHERE user_id > 10;

-- a table of what is read
CREATE TEMP TABLE t AS SELECT * FROM order_items;
SELECT count(*), sum(price) FROM t;

-- empty strings are not null
SELECT '' AS e, note FROM orders ORDER BY order_id;

-- empty strings that are stored
CREATE TEMP TABLE t AS SELECT user_id, left(name, 0) AS e, left(name, 0)::bytea AS b, '{}'::int[] AS a FROM users;
SELECT e IS NULL, length(b), a, count(*) FROM t GROUP BY 1, 2, 3;
