-- the same statement with other keys
SELECT user_id, name FROM users WHERE user_id = 3;
SELECT user_id, name FROM users WHERE user_id = 3;
SELECT user_id, name FROM users WHERE user_id = 4;
SELECT user_id, name FROM users WHERE user_id = 4000;
SELECT user_id, name FROM users WHERE user_id = NULL;

-- a constant that is also the key, then another than the key
SELECT user_id, 5 AS five FROM users WHERE user_id = 5;
SELECT user_id, 5 AS five FROM users WHERE user_id = 5;
SELECT user_id, 6 AS five FROM users WHERE user_id = 6;
SELECT user_id, 6 AS five FROM users WHERE user_id = 7;
SELECT user_id, 5 AS five FROM users WHERE user_id = 8;

-- two constants on one column
SELECT user_id FROM users WHERE user_id = 5 AND user_id = 5;
SELECT user_id FROM users WHERE user_id = 5 AND user_id = 5;
SELECT user_id FROM users WHERE user_id = 6 AND user_id = 6;
SELECT user_id FROM users WHERE user_id = 6 AND user_id = 7;

-- two tables with the same key, then with different ones
SELECT u.name, o.order_id FROM users u, orders o WHERE u.user_id = 3 AND o.user_id = 3;
SELECT u.name, o.order_id FROM users u, orders o WHERE u.user_id = 3 AND o.user_id = 3;
SELECT u.name, o.order_id FROM users u, orders o WHERE u.user_id = 4 AND o.user_id = 4;
SELECT u.name, o.order_id FROM users u, orders o WHERE u.user_id = 4 AND o.user_id = 3;
SELECT u.name, o.order_id FROM users u, orders o WHERE u.user_id = 3 AND o.user_id = 4;
SELECT u.name, o.order_id FROM users u, orders o WHERE u.user_id = 5 AND o.user_id = 5;

-- grouped by an expression with a constant
SELECT (total + 1) * 2, count(*) FROM orders WHERE user_id = 3 GROUP BY total + 1;
SELECT (total + 1) * 2, count(*) FROM orders WHERE user_id = 3 GROUP BY total + 1;
SELECT (total + 2) * 2, count(*) FROM orders WHERE user_id = 3 GROUP BY total + 2;
SELECT (total + 2) * 4, count(*) FROM orders WHERE user_id = 4 GROUP BY total + 2;
SELECT (total + 3) * 3, count(*) FROM orders WHERE user_id = 3 GROUP BY total + 3;

-- a grouped expression that does not stand in the result any more
-- fails: 42803
SELECT (total + 1) * 2 FROM orders WHERE user_id = 3 GROUP BY total + 1;
SELECT (total + 1) * 2 FROM orders WHERE user_id = 3 GROUP BY total + 1;
SELECT (total + 2) * 2 FROM orders WHERE user_id = 3 GROUP BY total + 1;

-- ordered by a position, and by an expression
-- ordered
SELECT order_id, total FROM orders WHERE user_id = 3 ORDER BY 1;
SELECT order_id, total FROM orders WHERE user_id = 3 ORDER BY 1;
SELECT order_id, total FROM orders WHERE user_id = 3 ORDER BY 2 DESC, 1;
SELECT order_id, total FROM orders WHERE user_id = 4 ORDER BY order_id % 3, order_id;
SELECT order_id, total FROM orders WHERE user_id = 4 ORDER BY order_id % 3, order_id;
SELECT order_id, total FROM orders WHERE user_id = 4 ORDER BY order_id % 2, order_id;

-- a constant in the result that is ordered by
-- ordered
SELECT order_id, 2 AS two FROM orders WHERE user_id = 3 ORDER BY two, order_id;
SELECT order_id, 2 AS two FROM orders WHERE user_id = 3 ORDER BY two, order_id;
SELECT order_id, 3 AS two FROM orders WHERE user_id = 3 ORDER BY two, order_id;
SELECT order_id, 1 AS two FROM orders WHERE user_id = 1 ORDER BY two, order_id;

-- limits
-- ordered
SELECT order_id FROM orders WHERE user_id = 3 ORDER BY order_id LIMIT 1;
SELECT order_id FROM orders WHERE user_id = 3 ORDER BY order_id LIMIT 1;
SELECT order_id FROM orders WHERE user_id = 3 ORDER BY order_id LIMIT 2;
SELECT order_id FROM orders WHERE user_id = 4 ORDER BY order_id LIMIT 2 OFFSET 1;
SELECT order_id FROM orders WHERE user_id = 4 ORDER BY order_id LIMIT 2 OFFSET 1;
SELECT order_id FROM orders WHERE user_id = 4 ORDER BY order_id LIMIT 3 OFFSET 2;
SELECT order_id FROM orders WHERE user_id = 3 ORDER BY order_id LIMIT NULL;

-- a limit below zero
-- fails: 2201W
SELECT order_id FROM orders WHERE user_id = 3 ORDER BY order_id LIMIT 1;
SELECT order_id FROM orders WHERE user_id = 3 ORDER BY order_id LIMIT 1;
SELECT order_id FROM orders WHERE user_id = 3 ORDER BY order_id LIMIT -1;

-- lists, whose constants stay in the text
SELECT user_id FROM users WHERE user_id = 3 AND country IN ('DE', 'FR');
SELECT user_id FROM users WHERE user_id = 3 AND country IN ('DE', 'FR');
SELECT user_id FROM users WHERE user_id = 4 AND country IN ('DE', 'US');
SELECT user_id FROM users WHERE user_id = 3 AND user_id IN (3, 4);
SELECT user_id FROM users WHERE user_id = 3 AND user_id IN (3, 4);
SELECT user_id FROM users WHERE user_id = 4 AND user_id IN (3, 4);
SELECT user_id FROM users WHERE user_id = 5 AND user_id IN (3, 4);
SELECT user_id FROM users WHERE user_id = 5 AND user_id IN (4, 5);

-- a key that is computed
SELECT name FROM users WHERE user_id = 1 + 2;
SELECT name FROM users WHERE user_id = 1 + 2;
SELECT name FROM users WHERE user_id = 2 + 2;
SELECT name FROM users WHERE user_id = abs(-5);
SELECT name FROM users WHERE user_id = abs(-5);
SELECT name FROM users WHERE user_id = abs(-6);

-- keys of other integer types
SELECT name FROM users WHERE user_id = 3::smallint;
SELECT name FROM users WHERE user_id = 3::smallint;
SELECT name FROM users WHERE user_id = 4::bigint;
SELECT name FROM users WHERE user_id = 4::bigint;
SELECT name FROM users WHERE user_id = 5::bigint;
SELECT name FROM users WHERE user_id = 7000000000;
SELECT name FROM users WHERE user_id = 3.0;
SELECT name FROM users WHERE user_id = 3.0;
SELECT name FROM users WHERE user_id = 4.5;

-- text keys, quotes and nulls
SELECT n, value FROM kv WHERE key = 'k7';
SELECT n, value FROM kv WHERE key = 'k7';
SELECT n, value FROM kv WHERE key = 'k''8';
SELECT n, value FROM kv WHERE key = E'k\\9';
SELECT n, value FROM kv WHERE key = '';
SELECT n, value FROM kv WHERE key = NULL;
SELECT n, value FROM kv WHERE key = 'k10' COLLATE "C";
SELECT n, value FROM kv WHERE key = 'k10' COLLATE "C";
SELECT n, value FROM kv WHERE key = 'k11' COLLATE "C";

-- constants with a length, and of a type that is compared as another
SELECT user_id, 'ab'::char(4) || 'x' FROM users WHERE user_id = 3 AND country = 'DE';
SELECT user_id, 'ab'::char(4) || 'x' FROM users WHERE user_id = 3 AND country = 'DE';
SELECT user_id, 'cde'::char(2) || 'y' FROM users WHERE user_id = 4 AND country = 'FR';
SELECT user_id, 12.345::numeric(6,2) FROM users WHERE user_id = 3;
SELECT user_id, 12.345::numeric(6,2) FROM users WHERE user_id = 3;
SELECT user_id, 1.999::numeric(6,2) FROM users WHERE user_id = 4;
SELECT user_id, 1.999::numeric(6,1) FROM users WHERE user_id = 4;

-- names of the result
SELECT name AS a FROM users WHERE user_id = 3;
SELECT name AS a FROM users WHERE user_id = 3;
SELECT name AS b FROM users WHERE user_id = 3;
SELECT u.name AS b FROM users u WHERE u.user_id = 4;

-- inserts with values that happen to be equal
INSERT INTO accounts (id, owner, version) VALUES (8001, 1, 1);
INSERT INTO accounts (id, owner, version) VALUES (8002, 2, 1);
INSERT INTO accounts (id, owner, version) VALUES (8003, 8003, 3);
INSERT INTO accounts (id, owner, version) VALUES (8004, NULL, 4);
INSERT INTO accounts (id, owner, version) VALUES (8005, 5, 5) RETURNING id, owner, version;
INSERT INTO accounts (id, owner, version) VALUES (8006, 5, 8006) RETURNING id, owner, version;
DELETE FROM accounts WHERE id = 8001;
DELETE FROM accounts WHERE id = 8002;
DELETE FROM accounts WHERE id = 8003 RETURNING owner;
DELETE FROM accounts WHERE id = 8004 RETURNING owner;
DELETE FROM accounts WHERE id = 8005 AND owner = 5;
DELETE FROM accounts WHERE id = 8006 AND owner = 5;

-- an insert without a key after others
-- fails: 23502
BEGIN;
INSERT INTO gaps (id, a) VALUES (8101, 1);
INSERT INTO gaps (id, a) VALUES (8102, 2);
INSERT INTO gaps (id, a) VALUES (8103, 3);
INSERT INTO gaps (id, a) VALUES (NULL, 3);

-- updates that set what they look for
BEGIN;
UPDATE accounts SET version = 4 WHERE id = 4 RETURNING id, version;
UPDATE accounts SET version = 4 WHERE id = 4 RETURNING id, version;
UPDATE accounts SET version = 5 WHERE id = 6 RETURNING id, version;
UPDATE accounts SET version = 6 WHERE id = 5 RETURNING id, version;
UPDATE accounts SET version = 7 WHERE id = 7 AND version = 7 RETURNING id, version;
UPDATE accounts SET version = 7 WHERE id = 7 AND version = 1 RETURNING id, version;
UPDATE accounts SET version = 9 WHERE id = 7 AND version = 7 RETURNING id, version;
ROLLBACK;

-- ON CONFLICT with constants everywhere
INSERT INTO kv (key, n) VALUES ('s1', 1) ON CONFLICT (key) DO UPDATE SET n = kv.n + 1 RETURNING key, n;
INSERT INTO kv (key, n) VALUES ('s1', 1) ON CONFLICT (key) DO UPDATE SET n = kv.n + 1 RETURNING key, n;
INSERT INTO kv (key, n) VALUES ('s1', 3) ON CONFLICT (key) DO UPDATE SET n = kv.n + 3 RETURNING key, n;
INSERT INTO kv (key, n) VALUES ('s1', 3) ON CONFLICT (key) DO UPDATE SET n = kv.n + 5 RETURNING key, n;
INSERT INTO kv (key, n) VALUES ('s2', 5) ON CONFLICT (key) DO NOTHING;
DELETE FROM kv WHERE key = 's1';
DELETE FROM kv WHERE key = 's2';

-- row locks, and none
BEGIN;
SELECT n FROM kv WHERE key = 'k3' FOR UPDATE;
SELECT n FROM kv WHERE key = 'k3' FOR UPDATE;
SELECT n FROM kv WHERE key = 'k4' FOR UPDATE;
SELECT n FROM kv WHERE key = 'k4';
SELECT n FROM kv WHERE key = 'k4' FOR SHARE;
ROLLBACK;

-- a column changes its name between two of them
BEGIN;
SELECT value FROM kv WHERE key = 'k3';
SELECT value FROM kv WHERE key = 'k3';
SELECT value FROM kv WHERE key = 'k4';
ALTER TABLE kv ADD COLUMN other text DEFAULT 'new';
SELECT value, other FROM kv WHERE key = 'k4';
SELECT value FROM kv WHERE key = 'k4';
SELECT * FROM kv WHERE key = 'k4';
ALTER TABLE kv DROP COLUMN value;
ALTER TABLE kv ADD COLUMN value integer DEFAULT 4;
SELECT value FROM kv WHERE key = 'k3';
SELECT value FROM kv WHERE key = 'k4';
ROLLBACK;
SELECT value FROM kv WHERE key = 'k4';

-- the default of a column changes
BEGIN;
INSERT INTO kv (key) VALUES ('d1');
INSERT INTO kv (key) VALUES ('d2');
INSERT INTO kv (key) VALUES ('d3');
ALTER TABLE kv ALTER COLUMN value SET DEFAULT 'changed';
INSERT INTO kv (key) VALUES ('d4') RETURNING value;
ROLLBACK;

-- an error of one value, then another value
-- fails: 22012
SELECT 10 / 5 FROM users WHERE user_id = 3;
SELECT 10 / 5 FROM users WHERE user_id = 3;
SELECT 10 / 2 FROM users WHERE user_id = 3;
SELECT 10 / 0 FROM users WHERE user_id = 3;

-- settings that say how constants are read
SET datestyle = 'ISO, DMY';
SELECT count(*) FROM users WHERE user_id = 3 AND born < '01/02/1990';
SELECT count(*) FROM users WHERE user_id = 3 AND born < '01/02/1990';
SET datestyle = 'ISO, MDY';
SELECT count(*), '01/02/1990'::date FROM users WHERE user_id = 3 AND born < '01/02/1990';
SELECT count(*), '01/02/1990'::date FROM users WHERE user_id = 3 AND born < '01/02/1990';
SET datestyle = 'ISO, DMY';
SELECT count(*), '01/02/1990'::date FROM users WHERE user_id = 3 AND born < '01/02/1990';

-- the same name in another schema
CREATE TEMP TABLE shadow (user_id integer, name text);
SELECT name FROM users WHERE user_id = 3;
SELECT name FROM users WHERE user_id = 3;
ALTER TABLE shadow RENAME TO users;
SELECT name FROM users WHERE user_id = 3;
DROP TABLE pg_temp.users;
SELECT name FROM users WHERE user_id = 3;

-- with subqueries, common table expressions and views
WITH o AS (SELECT * FROM orders WHERE user_id = 3) SELECT count(*), max(total) FROM o;
WITH o AS (SELECT * FROM orders WHERE user_id = 3) SELECT count(*), max(total) FROM o;
WITH o AS (SELECT * FROM orders WHERE user_id = 4) SELECT count(*), max(total) FROM o;
SELECT name, (SELECT count(*) FROM orders o WHERE o.user_id = u.user_id AND total > 20) FROM users u WHERE user_id = 3;
SELECT name, (SELECT count(*) FROM orders o WHERE o.user_id = u.user_id AND total > 20) FROM users u WHERE user_id = 3;
SELECT name, (SELECT count(*) FROM orders o WHERE o.user_id = u.user_id AND total > 50) FROM users u WHERE user_id = 4;
SELECT * FROM order_totals WHERE user_id = 3;
SELECT * FROM order_totals WHERE user_id = 3;
SELECT * FROM order_totals WHERE user_id = 4;
SELECT name FROM users WHERE user_id = 3 UNION ALL SELECT name FROM users WHERE user_id = 3;
SELECT name FROM users WHERE user_id = 3 UNION ALL SELECT name FROM users WHERE user_id = 3;
SELECT name FROM users WHERE user_id = 3 UNION ALL SELECT name FROM users WHERE user_id = 4;

-- json paths, patterns and intervals
SELECT profile ->> 'a', name LIKE 'u%' FROM users WHERE user_id = 3;
SELECT profile ->> 'a', name LIKE 'u%' FROM users WHERE user_id = 3;
SELECT profile ->> 'b', name LIKE '%3' FROM users WHERE user_id = 4;
SELECT order_id FROM orders WHERE user_id = 3 AND ordered_at > timestamp '2024-01-01' - interval '1 year';
SELECT order_id FROM orders WHERE user_id = 3 AND ordered_at > timestamp '2024-01-01' - interval '1 year';
SELECT order_id FROM orders WHERE user_id = 4 AND ordered_at > timestamp '2024-01-01' - interval '10 years';

-- in a loop of EXECUTE with other texts
CREATE FUNCTION pg_temp.totals() RETURNS SETOF numeric LANGUAGE plpgsql AS $$
DECLARE t numeric;
BEGIN
	FOR i IN 1..12 LOOP
		EXECUTE 'SELECT sum(total) FROM orders WHERE user_id = ' || i INTO t;
		RETURN NEXT t;
	END LOOP;
END $$;
SELECT pg_temp.totals();
SELECT pg_temp.totals();

-- expressions that are written with constants, casts with a length
SELECT extract(year FROM ordered_at), extract(month FROM ordered_at) FROM orders WHERE user_id = 3;
SELECT extract(year FROM ordered_at), extract(month FROM ordered_at) FROM orders WHERE user_id = 3;
SELECT extract(year FROM ordered_at), extract(day FROM ordered_at) FROM orders WHERE user_id = 4;
SELECT normalize(name, NFC), name IS NFC NORMALIZED, name IS NORMALIZED FROM users WHERE user_id = 3;
SELECT normalize(name, NFC), name IS NFC NORMALIZED, name IS NORMALIZED FROM users WHERE user_id = 3;
SELECT normalize(name, NFD), name IS NFKD NORMALIZED, name IS NORMALIZED FROM users WHERE user_id = 4;
SELECT overlay(name placing 'x' from 2 for 1), substring(name from 2 for 3), position('o' in name), trim(both 'u' from name) FROM users WHERE user_id = 3;
SELECT overlay(name placing 'x' from 2 for 1), substring(name from 2 for 3), position('o' in name), trim(both 'u' from name) FROM users WHERE user_id = 3;
SELECT overlay(name placing 'yz' from 1 for 2), substring(name from 1 for 2), position('e' in name), trim(both 'r' from name) FROM users WHERE user_id = 5;
SELECT user_id::text::varchar(1), name::char(3), total::numeric(5,1), (total * 2)::numeric(9,3) FROM orders JOIN users USING (user_id) WHERE user_id = 3;
SELECT user_id::text::varchar(1), name::char(3), total::numeric(5,1), (total * 2)::numeric(9,3) FROM orders JOIN users USING (user_id) WHERE user_id = 3;
SELECT user_id::text::varchar(2), name::char(2), total::numeric(5,0), (total * 3)::numeric(9,1) FROM orders JOIN users USING (user_id) WHERE user_id = 13;
SELECT tags::varchar(2)[], xmlroot(xmlelement(name n, name), version '1.0', standalone yes) FROM users WHERE user_id = 3;
SELECT tags::varchar(2)[], xmlroot(xmlelement(name n, name), version '1.0', standalone yes) FROM users WHERE user_id = 3;
SELECT tags::varchar(3)[], xmlroot(xmlelement(name n, name), version '1.1', standalone no) FROM users WHERE user_id = 4;
SELECT (born, born + 30) OVERLAPS (date '1980-01-01', interval '10 years'), ordered_at AT TIME ZONE 'UTC' FROM users JOIN orders USING (user_id) WHERE user_id = 3;
SELECT (born, born + 30) OVERLAPS (date '1980-01-01', interval '10 years'), ordered_at AT TIME ZONE 'UTC' FROM users JOIN orders USING (user_id) WHERE user_id = 3;
SELECT (born, born + 30) OVERLAPS (date '1970-01-01', interval '30 years'), ordered_at AT TIME ZONE 'CET' FROM users JOIN orders USING (user_id) WHERE user_id = 4;
