-- a parameter for the key
PREPARE q (int) AS SELECT * FROM users WHERE user_id = $1;
EXECUTE q (3);
EXECUTE q (4);
EXECUTE q (4000);
EXECUTE q (NULL);

-- the same with a generic plan
SET plan_cache_mode = force_generic_plan;
PREPARE q (int) AS SELECT name, country FROM users WHERE user_id = $1;
EXECUTE q (3);
EXECUTE q (44);
EXECUTE q (NULL);

-- more than five times: the plan changes from custom to generic
PREPARE q (int) AS SELECT order_id, total FROM orders WHERE user_id = $1;
EXECUTE q (1);
EXECUTE q (2);
EXECUTE q (3);
EXECUTE q (4);
EXECUTE q (5);
EXECUTE q (6);
EXECUTE q (7);
EXECUTE q (8);

-- two parameters, key and filter
SET plan_cache_mode = force_generic_plan;
PREPARE q (int, numeric) AS SELECT order_id FROM orders WHERE user_id = $1 AND total > $2;
EXECUTE q (8, 100);
EXECUTE q (9, NULL);
EXECUTE q (10, 0);

-- a parameter used twice
SET plan_cache_mode = force_generic_plan;
PREPARE q (int) AS SELECT u.name, o.order_id, $1 AS k FROM users u JOIN orders o USING (user_id) WHERE u.user_id = $1;
EXECUTE q (8);
EXECUTE q (21);

-- a parameter not for the key
PREPARE q (text) AS SELECT count(*) FROM orders WHERE status = $1;
EXECUTE q ('paid');
EXECUTE q ('nothing');
EXECUTE q (NULL);

-- a parameter in a general join, generic plan
SET plan_cache_mode = force_generic_plan;
PREPARE q (int, text) AS SELECT u.user_id, a.id FROM users u JOIN accounts a ON a.owner = u.user_id WHERE a.balance > $1 AND u.country = $2;
EXECUTE q (100, 'DE');
EXECUTE q (300, 'FR');

-- a parameter in LIMIT
SET plan_cache_mode = force_generic_plan;
PREPARE q (bigint) AS SELECT order_id FROM orders ORDER BY order_id LIMIT $1;
EXECUTE q (3);
EXECUTE q (0);

-- an array parameter
PREPARE q (int[]) AS SELECT user_id, name FROM users WHERE user_id = ANY ($1);
EXECUTE q ('{1,2,3}');
EXECUTE q ('{}');

-- a text parameter for a text key
SET plan_cache_mode = force_generic_plan;
PREPARE q (text) AS SELECT n, value FROM kv WHERE key = $1;
EXECUTE q ('k7');
EXECUTE q ('k''; DROP TABLE kv');

-- a parameter of another integer type for the key
SET plan_cache_mode = force_generic_plan;
PREPARE q (bigint) AS SELECT name FROM users WHERE user_id = $1;
EXECUTE q (7);
EXECUTE q (7000000000);
PREPARE r (smallint) AS SELECT balance FROM accounts WHERE id = $1;
EXECUTE r (7);

-- an expression of a parameter as the key
SET plan_cache_mode = force_generic_plan;
PREPARE q (int) AS SELECT name FROM users WHERE user_id = $1 + 1;
EXECUTE q (7);

-- parameters of many types
SET plan_cache_mode = force_generic_plan;
PREPARE q (uuid, timestamptz, jsonb, bytea, date) AS SELECT t, $2 AT TIME ZONE 'UTC', $3, $4, $5 FROM types WHERE id = $1;
EXECUTE q ('00000000-0000-4000-8000-000000000002', '2024-01-01 00:00:00+00', '{"a": [1, null]}', '\x00ff', '2024-02-29');

-- a prepared statement while the table changes
PREPARE q AS SELECT * FROM nothing;
EXECUTE q;

-- a prepared insert, executed in a transaction that is undone
-- fails: 23505
BEGIN;
PREPARE i (text, int) AS INSERT INTO kv (key, n) VALUES ($1, $2) RETURNING key, n, doubled;
EXECUTE i ('p1', 1);
EXECUTE i ('p2', 2);
EXECUTE i ('p2', 3);
ROLLBACK;

-- a prepared update
SET plan_cache_mode = force_generic_plan;
PREPARE u (text, int) AS UPDATE kv SET n = n + $2 WHERE key = $1 RETURNING n;
EXECUTE u ('k3', 10);
EXECUTE u ('k4', NULL);
EXECUTE u ('nokey', 1);
PREPARE d (text) AS DELETE FROM kv WHERE key = $1 RETURNING key;
EXECUTE d ('k5');
EXECUTE d ('k5');

-- a cursor
-- ordered
BEGIN;
DECLARE c CURSOR FOR SELECT order_id, status FROM orders ORDER BY order_id;
FETCH 3 FROM c;
FETCH FORWARD 2 FROM c;
MOVE 10 IN c;
FETCH NEXT FROM c;
CLOSE c;
COMMIT;

-- a scroll cursor
-- ordered
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT order_id FROM orders ORDER BY order_id DESC;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH LAST FROM c;
FETCH ABSOLUTE 5 FROM c;
COMMIT;

-- a holdable cursor
-- ordered
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT user_id FROM users ORDER BY user_id;
COMMIT;
FETCH 4 FROM c;
CLOSE c;

-- a cursor for one key, two at a time
-- ordered
BEGIN;
DECLARE a CURSOR FOR SELECT order_id FROM orders WHERE user_id = 3 ORDER BY order_id;
DECLARE b CURSOR FOR SELECT order_id FROM orders WHERE user_id = 4 ORDER BY order_id;
FETCH 1 FROM a;
FETCH 1 FROM b;
FETCH 1 FROM a;
FETCH 1 FROM b;
COMMIT;

-- a cursor left half read, then another query
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM order_items;
FETCH 0 FROM c;
SELECT count(*) FROM orders;
SELECT name FROM users WHERE user_id = 2;
COMMIT;

-- in PL/pgSQL
DO $$
DECLARE
    r record;
    n integer := 0;
BEGIN
    FOR r IN SELECT user_id, name FROM users WHERE user_id < 10 LOOP
        n := n + (SELECT count(*) FROM orders o WHERE o.user_id = r.user_id);
    END LOOP;
    IF n <> (SELECT count(*) FROM orders WHERE user_id < 10) THEN
        RAISE EXCEPTION 'wrong sum %', n;
    END IF;
END $$;

-- PL/pgSQL with a caught error
DO $$
BEGIN
    BEGIN
        PERFORM 1 / (user_id - 5) FROM users;
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
    PERFORM count(*) FROM users;
END $$;

-- dynamic SQL
DO $$
DECLARE
    n bigint;
BEGIN
    FOR k IN 1..8 LOOP
        EXECUTE 'SELECT count(*) FROM orders WHERE user_id = $1' INTO n USING k;
        IF n <> (SELECT count(*) FROM orders WHERE user_id = k) THEN
            RAISE EXCEPTION 'wrong count for %', k;
        END IF;
    END LOOP;
END $$;

-- a function with parameters in its queries
BEGIN;
CREATE FUNCTION spent(who int) RETURNS numeric LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT sum(total) FROM orders WHERE user_id = who); END';
SELECT spent(3), spent(4), spent(NULL);
SELECT g, spent(g) FROM generate_series(1, 8) g;
ROLLBACK;

-- an SQL function that is inlined
BEGIN;
CREATE FUNCTION orders_of(who int) RETURNS SETOF orders LANGUAGE sql STABLE AS 'SELECT * FROM orders WHERE user_id = who';
SELECT order_id, status FROM orders_of(6);
SELECT u.user_id, o.order_id FROM users u, orders_of(u.user_id) o WHERE u.user_id < 4;
ROLLBACK;

-- COPY of a query
COPY (SELECT user_id, name, tags FROM users WHERE user_id < 8) TO STDOUT;

-- COPY of a whole table as CSV
COPY orders TO STDOUT (FORMAT csv, HEADER);

-- COPY of columns
COPY users (user_id, name) TO STDOUT (DELIMITER '|');

-- SELECT INTO a new table
BEGIN;
SELECT user_id, name INTO TEMP t FROM users WHERE user_id < 9;
SELECT * FROM t;
ROLLBACK;

-- CREATE TABLE AS
BEGIN;
CREATE TEMP TABLE t AS SELECT status, count(*) FROM orders GROUP BY status;
SELECT * FROM t;
ROLLBACK;

-- a materialized view
BEGIN;
CREATE MATERIALIZED VIEW m AS SELECT country, count(*) AS n FROM users GROUP BY country;
SELECT * FROM m;
ROLLBACK;

-- a temporary table joined
BEGIN;
CREATE TEMP TABLE picks (id int);
INSERT INTO picks VALUES (3), (5), (5), (900);
SELECT p.id, u.name FROM picks p LEFT JOIN users u ON u.user_id = p.id;
ROLLBACK;
