-- a small side of many
SET pgcluster.join_strategy = ship;
SELECT count(*), sum(o.total), min(m.value) FROM orders o JOIN measurements m ON m.sensor = o.order_id;

-- ... that turns out too large
SET pgcluster.join_strategy = ship;
SET pgcluster.max_shipped_size = '1kB';
SELECT count(*), sum(o.total), min(m.value) FROM orders o JOIN measurements m ON m.sensor = o.order_id;

-- ... that is empty
SET pgcluster.join_strategy = ship;
SELECT count(*), sum(o.total) FROM orders o JOIN measurements m ON m.sensor = o.order_id WHERE m.day < '2000-01-01';
SELECT o.status, count(*) FROM orders o LEFT JOIN nothing n ON n.id = o.order_id GROUP BY o.status;

-- ... without columns
SET pgcluster.join_strategy = ship;
SELECT count(*) FROM orders, measurements WHERE sensor < 3;

-- ... of which a condition is not about the join
SET pgcluster.join_strategy = ship;
SELECT u.country, count(*) FROM users u JOIN gaps g ON g.a = u.user_id AND g.c WHERE g.id < 40 AND g.d IS NOT NULL GROUP BY u.country;

-- null keys on both sides
SET pgcluster.join_strategy = ship;
SELECT count(*) FROM gaps g JOIN accounts a ON a.owner = g.a;
SELECT g.id, a.id FROM gaps g LEFT JOIN accounts a ON a.owner = g.a;
SELECT count(*) FROM gaps g JOIN users u ON u.user_id IS NOT DISTINCT FROM g.a;

-- duplicates on both sides
SET pgcluster.join_strategy = ship;
SELECT e.kind, count(*) FROM events e JOIN gaps g ON g.b = 'b' || length(e.kind) GROUP BY e.kind;

-- as the side that may be missing
SET pgcluster.join_strategy = ship;
SELECT o.order_id, m.value FROM orders o LEFT JOIN measurements m ON m.sensor = o.order_id AND m.day > '2024-03-01';

-- ... and a condition above
SET pgcluster.join_strategy = ship;
SELECT o.order_id, m.value FROM orders o LEFT JOIN measurements m ON m.sensor = o.order_id WHERE m.value IS NULL OR m.value > 5;

-- as the side that is kept
SET pgcluster.join_strategy = ship;
SELECT m.sensor, o.order_id FROM measurements m LEFT JOIN orders o ON m.sensor = o.order_id AND o.total > 100;

-- a full join
SET pgcluster.join_strategy = ship;
SELECT m.sensor, o.order_id FROM measurements m FULL JOIN orders o ON m.sensor = o.order_id;

-- IN, EXISTS, NOT IN, NOT EXISTS
SET pgcluster.join_strategy = ship;
SELECT count(*) FROM orders WHERE order_id IN (SELECT sensor FROM measurements WHERE value > 3);
SELECT count(*) FROM orders o WHERE EXISTS (SELECT FROM measurements m WHERE m.sensor = o.order_id AND m.value > 3);
SELECT count(*) FROM orders WHERE order_id NOT IN (SELECT sensor FROM measurements);
SELECT count(*) FROM orders WHERE order_id NOT IN (SELECT a FROM gaps);
SELECT count(*) FROM orders o WHERE NOT EXISTS (SELECT FROM gaps g WHERE g.a = o.order_id);

-- IN of two columns, ANY and ALL
SET pgcluster.join_strategy = ship;
SELECT count(*) FROM users WHERE (country, active) IN (SELECT CASE WHEN c THEN 'DE' ELSE 'FR' END, c FROM gaps);
SELECT count(*) FROM users WHERE user_id > ANY (SELECT sensor FROM measurements);
SELECT count(*) FROM users WHERE user_id > ALL (SELECT sensor FROM measurements);

-- two columns joined
SET pgcluster.join_strategy = ship;
SELECT count(*) FROM order_items i JOIN gaps g ON g.a = i.line AND g.id = i.quantity;

-- two relations that travel
SET pgcluster.join_strategy = ship;
SELECT r.region, count(*), sum(o.total) FROM orders o JOIN regions r ON r.country = left(o.note, 2) OR r.country IS NULL JOIN gaps g ON g.id = o.order_id GROUP BY r.region;

-- a local table, VALUES, a function, a CTE, a subquery
SET pgcluster.join_strategy = ship;
SELECT r.region, count(*) FROM users u JOIN regions r USING (country) GROUP BY r.region;
SELECT v.name, count(*) FROM users u JOIN (VALUES (1, 'one'), (2, NULL), (NULL, 'none')) v (n, name) ON v.n = u.user_id % 3 GROUP BY v.name;
SELECT v.name, count(*) FROM users u JOIN (VALUES (1, now()::text), (2, current_user)) v (n, name) ON v.n = u.user_id % 3 GROUP BY v.name HAVING v.name = current_user;
SELECT n, count(*) FROM users u JOIN generate_series(1, 5) n ON n = u.user_id % 7 GROUP BY n;
WITH s AS (SELECT status, count(*) AS n FROM orders GROUP BY status) SELECT s.status, u.user_id FROM users u JOIN s ON s.n = u.user_id;
WITH s AS MATERIALIZED (SELECT sensor, max(value) AS v FROM measurements GROUP BY sensor) SELECT count(*), sum(s.v) FROM users u JOIN s ON s.sensor = u.user_id;
WITH RECURSIVE s (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < 7) SELECT count(*), sum(n) FROM users u JOIN s ON s.n = u.user_id % 10;
SELECT s.status, u.user_id FROM users u JOIN (SELECT status, count(*) AS n FROM orders GROUP BY status) s ON s.n = u.user_id;

-- a CTE used twice
SET pgcluster.join_strategy = ship;
WITH s AS (SELECT sensor, count(*) AS n FROM measurements GROUP BY sensor) SELECT u.user_id, a.n, b.n FROM users u JOIN s a ON a.sensor = u.user_id JOIN s b ON b.n = u.user_id;

-- volatile functions are evaluated once
SET pgcluster.join_strategy = ship;
CREATE TEMP SEQUENCE q;
SELECT count(*), count(DISTINCT s.n) FROM users u JOIN (SELECT nextval('q') AS n, g AS k FROM generate_series(0, 4) g) s ON s.k = u.user_id % 5;
SELECT count(*) FROM users u, (SELECT nextval('q') AS n OFFSET 0) s WHERE u.user_id < 20;
SELECT nextval('q') < 20;

-- types that are likely to travel badly
SET pgcluster.join_strategy = ship;
SELECT u.user_id, t.i2, t.i8, t.f4, t.f8, t.n, t.t, t.v, t.c, t.b, t.d, t.ts, t.tz, t.tm, t.iv, t.ip, t.r, t.bits FROM users u JOIN types t ON t.i2 = u.user_id;
SELECT u.user_id, t.pt, t."Mixed Case", t.id FROM users u LEFT JOIN types t ON t.i2 = u.user_id AND t.n > 3;

-- arrays stay
SET pgcluster.join_strategy = ship;
SELECT u.user_id, t.ia, t.ja FROM users u JOIN types t ON t.i2 = u.user_id;

-- keys of other types
SET pgcluster.join_strategy = ship;
SELECT count(*) FROM users u JOIN types t ON t.i8 / 5000000000 = u.user_id;
SELECT count(*) FROM users u JOIN types t ON t.i2 = u.user_id;
SELECT count(*) FROM orders o JOIN types t ON t.n = o.total;
SELECT o.order_id, p.price FROM orders o JOIN products p ON p.price = o.total + 0.740;
SELECT t.f8, e.reading FROM events e JOIN types t ON t.f8 = e.reading * 4e98;

-- NaN, infinity and minus zero
SET pgcluster.join_strategy = ship;
SELECT u.user_id, v.f FROM users u JOIN (VALUES ('NaN'::float8), ('-0'), ('infinity'), (NULL), (2)) v (f) ON v.f = (u.user_id - u.user_id)::float8 OR v.f > 1e300 WHERE u.user_id < 4;
SELECT u.user_id, t.f8, t.n, t.d FROM users u JOIN types t ON t.f8 = 'NaN' OR t.n = 'infinity' WHERE u.user_id < 4;

-- collations
SET pgcluster.join_strategy = ship;
CREATE TEMP TABLE words (w text COLLATE "C", x text COLLATE "POSIX", c char(5));
INSERT INTO words VALUES ('v1', 'a', 'DE'), ('V2', 'B', 'FR   '), ('v3', 'Ab', NULL), (NULL, NULL, 'it');
SELECT k.key, w.w FROM kv k JOIN words w ON k.value < w.w COLLATE "C" WHERE k.n < 12;
SELECT k.value, max(w.x), min(w.w) FROM kv k JOIN words w ON k.value = w.w COLLATE "C" GROUP BY k.value;
SELECT u.user_id, w.c, length(w.c), w.c || '|' FROM users u JOIN words w ON w.c = u.country;
SELECT w.x, count(*) FROM users u, words w WHERE w.x > 'B' GROUP BY w.x;

-- columns of joins with USING
SET pgcluster.join_strategy = ship;
SELECT country, user_id, region FROM users JOIN regions USING (country);
SELECT country, user_id, region FROM users LEFT JOIN regions USING (country) WHERE country = 'DE' OR region IS NULL;

-- whole rows
SET pgcluster.join_strategy = ship;
SELECT u.user_id, r FROM users u JOIN regions r USING (country) WHERE u.user_id < 12;
SELECT u, r.region FROM users u JOIN regions r USING (country) WHERE u.user_id < 12;
SELECT count(r) FROM users u LEFT JOIN regions r USING (country);

-- sorted and cut
-- ordered
SET pgcluster.join_strategy = ship;
SELECT o.order_id, r.region FROM orders o JOIN users u USING (user_id) JOIN regions r ON r.country = u.country ORDER BY o.order_id DESC LIMIT 7 OFFSET 2;

-- sorted by what is not shown
-- ordered
SET pgcluster.join_strategy = ship;
SELECT r.region FROM orders o JOIN users u USING (user_id) JOIN regions r ON r.country = u.country ORDER BY o.order_id LIMIT 20;

-- DISTINCT, DISTINCT ON, windows, GROUPING SETS
SET pgcluster.join_strategy = ship;
SELECT DISTINCT r.region FROM users u JOIN regions r USING (country);
SELECT DISTINCT ON (r.region) r.region, u.user_id FROM users u JOIN regions r USING (country) ORDER BY r.region, u.user_id;
SELECT u.user_id, r.region, rank() OVER (PARTITION BY u.user_id ORDER BY r.region) FROM users u JOIN regions r USING (country);
SELECT u.user_id, rank() OVER (PARTITION BY r.region ORDER BY u.user_id) FROM users u JOIN regions r USING (country);
SELECT r.region, u.active, count(*), count(DISTINCT u.user_id) FROM users u JOIN regions r USING (country) GROUP BY GROUPING SETS ((r.region), (u.active), ());

-- a correlated subquery over what travels
SET pgcluster.join_strategy = ship;
SELECT u.user_id, (SELECT max(r.region) FROM regions r WHERE r.country = u.country) FROM users u;
SELECT u.user_id, (SELECT count(*) FROM measurements m WHERE m.sensor = u.user_id AND m.value > 2) FROM users u;
SELECT o.order_id, (SELECT r.region FROM regions r WHERE r.country = u.country) FROM users u JOIN orders o USING (user_id) WHERE o.total > 200;

-- LATERAL over what travels
SET pgcluster.join_strategy = ship;
SELECT u.user_id, l.day FROM users u, LATERAL (SELECT m.day FROM measurements m WHERE m.sensor = u.user_id ORDER BY m.value DESC, m.day LIMIT 2) l;
SELECT u.user_id, l.n FROM users u LEFT JOIN LATERAL (SELECT count(*) AS n FROM accounts a WHERE a.owner = u.user_id AND a.balance > 100) l ON true;

-- below and inside other queries
SET pgcluster.join_strategy = ship;
SELECT max(n) FROM (SELECT r.region, count(*) AS n FROM users u JOIN regions r USING (country) GROUP BY r.region) s;
SELECT name FROM users WHERE user_id IN (SELECT o.user_id FROM orders o JOIN measurements m ON m.sensor = o.order_id);
SELECT region FROM regions UNION SELECT r.region || u.user_id FROM users u JOIN regions r USING (country) WHERE u.user_id < 5;
SELECT (SELECT count(*) FROM users u JOIN regions r USING (country));

-- prepared, for several values
SET pgcluster.join_strategy = ship;
PREPARE q (int, text) AS SELECT count(*), min(m.value) FROM orders o JOIN measurements m ON m.sensor = o.order_id WHERE m.sensor < $1 AND o.status = $2;
EXECUTE q (5, 'paid'); EXECUTE q (50, 'new'); EXECUTE q (NULL, 'new'); EXECUTE q (5, NULL); EXECUTE q (7, 'paid'); EXECUTE q (8, 'paid'); EXECUTE q (9, 'new');

-- what the transaction wrote
SET pgcluster.join_strategy = ship;
BEGIN;
INSERT INTO measurements VALUES (200, '2024-01-01', 42), (201, '2024-01-01', 43);
UPDATE orders SET total = 7 WHERE order_id = 200;
SELECT o.order_id, o.total, m.value FROM orders o JOIN measurements m ON m.sensor = o.order_id WHERE m.sensor > 100;
ROLLBACK;

-- cursors
SET pgcluster.join_strategy = ship;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT o.order_id, m.value FROM orders o JOIN measurements m ON m.sensor = o.order_id AND m.day = '2024-02-25' ORDER BY 1, 2;
FETCH 3 FROM c; FETCH BACKWARD 2 FROM c; FETCH LAST FROM c;
COMMIT;

-- rows of the result go elsewhere
SET pgcluster.join_strategy = ship;
CREATE TEMP TABLE t AS SELECT r.region, count(*) AS n FROM users u JOIN regions r USING (country) GROUP BY r.region;
SELECT * FROM t;
COPY (SELECT r.region, u.user_id FROM users u JOIN regions r USING (country) ORDER BY 2, 1) TO STDOUT;
