-- rows that go to their shards
SET pgcluster.join_strategy = ship;
SELECT count(*), sum(m.value) FROM users u JOIN measurements m ON m.sensor = u.user_id;
SELECT a.owner, count(*), min(a.id) FROM users u JOIN accounts a ON a.owner = u.user_id GROUP BY a.owner;

-- ... that turn out too many
SET pgcluster.join_strategy = ship;
SET pgcluster.max_exchanged_size = '1kB';
SELECT count(*), sum(m.value) FROM users u JOIN measurements m ON m.sensor = u.user_id;
SELECT m.day, u.name FROM measurements m LEFT JOIN users u ON m.sensor = u.user_id;

-- ... that there are none of
SET pgcluster.join_strategy = ship;
SELECT count(*), sum(m.value) FROM users u JOIN measurements m ON m.sensor = u.user_id WHERE m.value > 1000;
SELECT u.user_id, m.value FROM users u LEFT JOIN measurements m ON m.sensor = u.user_id AND m.value > 1000;
SELECT u.country, count(*) FROM users u JOIN measurements m ON m.sensor = u.user_id WHERE m.value > 1000 GROUP BY u.country;

-- null keys, of both kinds of outer joins
SET pgcluster.join_strategy = ship;
SELECT g.id, u.name FROM gaps g LEFT JOIN users u ON u.user_id = g.a;
SELECT g.id, u.name FROM users u LEFT JOIN gaps g ON u.user_id = g.a;
SELECT g.a, count(*), count(u.name) FROM gaps g LEFT JOIN users u ON u.user_id = g.a GROUP BY g.a;
SELECT g.a, u.user_id FROM gaps g FULL JOIN users u ON u.user_id = g.a;
SELECT count(*) FROM gaps g LEFT JOIN users u ON u.user_id = g.a WHERE u.user_id IS NULL;

-- IN, EXISTS, NOT IN, NOT EXISTS
SET pgcluster.join_strategy = ship;
SELECT user_id FROM users WHERE user_id IN (SELECT owner FROM accounts WHERE balance > 100);
SELECT user_id FROM users WHERE user_id NOT IN (SELECT a FROM gaps);
SELECT user_id FROM users WHERE user_id NOT IN (SELECT sensor FROM measurements);
SELECT user_id FROM users u WHERE NOT EXISTS (SELECT FROM gaps g WHERE g.a = u.user_id);
SELECT a.id FROM accounts a WHERE EXISTS (SELECT FROM users u WHERE u.user_id = a.owner AND u.active);
SELECT g.id FROM gaps g WHERE g.a IN (SELECT user_id FROM orders WHERE total > 100);

-- correlated subqueries and LATERAL, a round trip for each row would be too many
SET pgcluster.join_strategy = ship;
SELECT u.user_id, (SELECT sum(m.value) FROM measurements m WHERE m.sensor = u.user_id) FROM users u;
SELECT a.id, (SELECT u.name FROM users u WHERE u.user_id = a.owner) FROM accounts a;
SELECT u.user_id, l.day FROM users u CROSS JOIN LATERAL (SELECT m.day FROM measurements m WHERE m.sensor = u.user_id ORDER BY m.day LIMIT 1) l;
SELECT a.id, l.order_id FROM accounts a LEFT JOIN LATERAL (SELECT o.order_id FROM orders o WHERE o.user_id = a.owner ORDER BY o.order_id DESC LIMIT 1) l ON true;
SELECT u.user_id, (SELECT count(*) FROM measurements m WHERE m.sensor < u.user_id AND m.sensor > u.user_id - 3) FROM users u;

-- three tables
SET pgcluster.join_strategy = ship;
SELECT count(*), sum(o.total) FROM users u JOIN orders o USING (user_id) JOIN accounts a ON a.owner = u.user_id;
SELECT u.name, m.day, a.id FROM users u JOIN measurements m ON m.sensor = u.user_id LEFT JOIN accounts a ON a.owner = u.user_id WHERE m.value > 8;
SELECT u.name, p.name, m.value FROM measurements m JOIN order_items i ON i.user_id = m.sensor JOIN products p USING (product_id) JOIN users u USING (user_id) WHERE m.day = '2024-02-25';

-- keys of other types
SET pgcluster.join_strategy = ship;
SELECT u.user_id, t.t FROM users u JOIN types t ON t.i2 = u.user_id;
SELECT u.user_id, t.t FROM users u JOIN types t ON t.i8 / 5000000000 = u.user_id;
SELECT a.id, s.k FROM accounts a JOIN (SELECT user_id * 1000000007::bigint AS k FROM users) s ON s.k = a.id;
SELECT u.user_id, s.k FROM users u JOIN (SELECT owner::bigint AS k FROM accounts) s ON s.k = u.user_id;
SELECT u.user_id, s.k FROM users u JOIN (SELECT total::numeric AS k FROM orders) s ON s.k = u.user_id;
SELECT u.user_id, s.k FROM users u JOIN (SELECT (user_id - 10)::float8 AS k FROM orders) s ON s.k = u.user_id;

-- keys of text
SET pgcluster.join_strategy = ship;
CREATE TEMP TABLE words (v varchar(20), c text COLLATE "C", n name, p char(8));
INSERT INTO words VALUES ('k1', 'k2', 'k3', 'k4'), ('k10', 'k10', NULL, 'k10'), (NULL, 'k11', 'k11', NULL), ('k12 ', 'K12', 'k12', 'k12');
SELECT k.key, w.c FROM kv k JOIN words w ON w.v = k.key;
SELECT k.key, w.v FROM kv k JOIN words w ON w.c = k.key COLLATE "C";
SELECT k.key, w.v FROM kv k JOIN words w ON w.n = k.key;
SELECT k.key, w.v FROM kv k JOIN words w ON w.p = k.key;
SELECT e.device, count(*) FROM events e JOIN (SELECT 'dev-' || user_id AS d FROM users) s ON s.d = e.device GROUP BY e.device;

-- grouped, sorted, made distinct
-- ordered
SET pgcluster.join_strategy = ship;
SELECT m.sensor, count(*), string_agg(u.name, ',') FROM measurements m JOIN users u ON u.user_id = m.sensor GROUP BY m.sensor ORDER BY m.sensor;
SELECT DISTINCT m.sensor FROM measurements m JOIN users u ON u.user_id = m.sensor ORDER BY 1;
SELECT u.user_id, a.id FROM users u JOIN accounts a ON a.owner = u.user_id ORDER BY a.id DESC LIMIT 5;
SELECT count(DISTINCT m.sensor), count(DISTINCT u.country) FROM measurements m JOIN users u ON u.user_id = m.sensor;

-- a key that is compared with a value too
SET pgcluster.join_strategy = ship;
SELECT u.user_id, m.value FROM users u JOIN measurements m ON m.sensor = u.user_id WHERE m.sensor = 5;
SELECT u.user_id, m.value FROM users u JOIN measurements m ON m.sensor = u.user_id WHERE u.user_id IN (3, 4) AND m.day > '2024-03-01';

-- prepared, for several values
SET pgcluster.join_strategy = ship;
PREPARE q (int, numeric) AS SELECT count(*), sum(m.value) FROM users u JOIN measurements m ON m.sensor = u.user_id WHERE m.sensor < $1 AND m.value > $2;
EXECUTE q (5, 1); EXECUTE q (50, 2); EXECUTE q (NULL, 1); EXECUTE q (5, NULL); EXECUTE q (7, 3); EXECUTE q (8, 0.5); EXECUTE q (9, 10);

-- what the transaction wrote
SET pgcluster.join_strategy = ship;
BEGIN;
INSERT INTO measurements VALUES (41, '2024-01-01', 42), (42, '2024-01-01', 43);
UPDATE users SET name = 'changed' WHERE user_id = 41;
SELECT u.name, m.value FROM users u JOIN measurements m ON m.sensor = u.user_id WHERE m.sensor > 30;
ROLLBACK;

-- cursors, functions, and results that go elsewhere
SET pgcluster.join_strategy = ship;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT u.user_id, m.value FROM users u JOIN measurements m ON m.sensor = u.user_id WHERE m.day = '2024-02-25' ORDER BY 1, 2;
FETCH 3 FROM c; FETCH BACKWARD 2 FROM c; FETCH LAST FROM c;
COMMIT;
CREATE TEMP TABLE t AS SELECT u.country, count(*) AS n FROM users u JOIN accounts a ON a.owner = u.user_id GROUP BY u.country;
SELECT * FROM t;
DO $$DECLARE r record; n int := 0; BEGIN FOR r IN SELECT u.user_id, m.value FROM users u JOIN measurements m ON m.sensor = u.user_id LOOP n := n + r.user_id; END LOOP; PERFORM set_config('x.n', n::text, false); END$$;
SELECT current_setting('x.n');

-- a cursor reads what there was when it was opened
SET pgcluster.join_strategy = ship;
BEGIN;
DECLARE c CURSOR FOR SELECT u.user_id, u.name, m.value FROM users u JOIN measurements m ON m.sensor = u.user_id WHERE m.day = '2024-02-25' ORDER BY 1, 2, 3;
DECLARE d CURSOR FOR SELECT o.order_id, o.total, m.value FROM orders o JOIN measurements m ON m.sensor = o.order_id AND m.day = '2024-02-25' ORDER BY 1, 2, 3;
UPDATE users SET name = 'changed' WHERE user_id < 10;
UPDATE orders SET total = 1 WHERE order_id < 10;
UPDATE measurements SET value = 100;
FETCH ALL FROM c;
FETCH ALL FROM d;
ROLLBACK;

-- ... also when its rows turn out too many
SET pgcluster.join_strategy = ship;
SET pgcluster.max_exchanged_size = '1kB';
BEGIN;
DECLARE c CURSOR FOR SELECT u.user_id, u.name, m.value FROM users u JOIN measurements m ON m.sensor = u.user_id ORDER BY 1, 2, 3;
FETCH 2 FROM c;
UPDATE users SET name = 'changed' WHERE user_id < 10;
UPDATE measurements SET value = 100;
FETCH ALL FROM c;
ROLLBACK;

-- columns that go by a primary key
SET pgcluster.join_strategy = ship;
SELECT u.user_id, u.name, count(a.id) FROM users u LEFT JOIN accounts a ON a.owner = u.user_id GROUP BY u.user_id;

-- WITH in places that are hard to reach
SET pgcluster.join_strategy = ship;
WITH c AS (SELECT sensor, max(value) AS v FROM measurements GROUP BY sensor) SELECT u.user_id FROM users u JOIN (SELECT sensor FROM c UNION SELECT 5) s ON s.sensor = u.user_id;
WITH c AS (SELECT sensor, max(value) AS v FROM measurements GROUP BY sensor) SELECT u.user_id FROM users u JOIN (WITH d AS (SELECT sensor + 1 AS n FROM c) SELECT n FROM d) s ON s.n = u.user_id;
WITH c AS (SELECT sensor, max(value) AS v FROM measurements GROUP BY sensor) SELECT u.user_id FROM users u WHERE user_id IN (SELECT sensor FROM c WHERE v > (SELECT avg(v) FROM c));
WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 9) SELECT count(*) FROM users u JOIN c ON c.n = u.user_id AND u.user_id IN (SELECT n FROM c WHERE n % 2 = 0);
