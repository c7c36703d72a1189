-- rows that change their key, between nodes
SET pgcluster.insert_strategy = exchange;
BEGIN;
INSERT INTO accounts (id, owner, balance) SELECT 20000 + order_id * 50 + user_id, user_id, coalesce(total, 0) FROM orders WHERE total >= 0 OR total IS NULL;
INSERT INTO nothing SELECT 300000 + id * 100 + row_number, b FROM (SELECT id, b, a AS row_number FROM gaps WHERE id = a) g ON CONFLICT DO NOTHING;
INSERT INTO events SELECT 'd' || user_id, ordered_at AT TIME ZONE 'UTC', status, total, to_jsonb(note) FROM orders;
INSERT INTO measurements (sensor, day) SELECT 5000 + owner, date '2024-05-01' + (id % 30)::int FROM accounts WHERE owner IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO measurements (sensor, day) SELECT 5000 + owner, date '2024-05-01' + (id % 30)::int FROM accounts WHERE owner IS NOT NULL ON CONFLICT DO NOTHING;
SELECT * FROM accounts;
SELECT * FROM events;
SELECT * FROM measurements;
ROLLBACK;

-- ... that stay
SET pgcluster.insert_strategy = exchange;
INSERT INTO nothing SELECT 300000 + user_id * 1000 + order_id % 1000, note FROM orders WHERE order_id < 1000 ON CONFLICT DO NOTHING;
SELECT * FROM nothing WHERE id >= 300000;
INSERT INTO nothing SELECT id + 100000000, v FROM nothing WHERE id >= 300000;
SELECT * FROM nothing WHERE id >= 300000;
DELETE FROM nothing WHERE id >= 300000;

-- into the table that is read, with defaults and generated columns
SET pgcluster.insert_strategy = exchange;
INSERT INTO kv (key, n) SELECT key || '-copy', n + 1 FROM kv;
INSERT INTO kv (key, n) SELECT key || '-copy', n + 1 FROM kv WHERE key LIKE '%-copy';
SELECT key, n, doubled, value, changed FROM kv WHERE key LIKE '%-copy%';
DELETE FROM kv WHERE key LIKE '%-copy%';

-- RETURNING, and the rows of ON CONFLICT
SET pgcluster.insert_strategy = exchange;
BEGIN;
INSERT INTO kv (key, n) SELECT 'eu' || user_id, user_id FROM users RETURNING key, n + doubled AS more, value;
INSERT INTO kv AS t (key, n) SELECT 'eu' || user_id, 1000 FROM users ON CONFLICT (key) DO UPDATE SET n = t.n + excluded.n, value = 'again' WHERE t.n % 2 = 0 RETURNING *;
INSERT INTO kv (key, n) SELECT 'eu' || user_id % 3, 1 FROM users ON CONFLICT (key) DO NOTHING RETURNING key;
SELECT * FROM kv;
ROLLBACK;

-- the same row twice
-- fails: 21000
SET pgcluster.insert_strategy = exchange;
INSERT INTO kv (key, n) SELECT 'eu' || user_id % 3, 1 FROM users ON CONFLICT (key) DO UPDATE SET n = kv.n + 1;

-- a key that is there
-- fails: 23505
SET pgcluster.insert_strategy = exchange;
INSERT INTO kv (key) SELECT 'eu' || user_id % 3 FROM users;

-- no key
-- fails: 23502
SET pgcluster.insert_strategy = exchange;
INSERT INTO nothing SELECT NULL::int, name FROM users;

-- a check
-- fails: 23514
SET pgcluster.insert_strategy = exchange;
INSERT INTO accounts (id, balance) SELECT 90000000 + user_id, -1 FROM users;

-- an error while rows are found
-- fails: 22012
SET pgcluster.insert_strategy = exchange;
INSERT INTO kv (key) SELECT 'eu' || user_id || '/' || 1 / (user_id - 5) FROM users;

-- every type
SET pgcluster.insert_strategy = exchange;
BEGIN;
INSERT INTO types SELECT md5(id::text)::uuid, i2, i8, f4, f8, n, t, v, c, b, d, ts, tz, tm, iv, ip, r, bits, pt, ia, ja, "Mixed Case" FROM types;
INSERT INTO types SELECT md5('again' || id)::uuid, i2, i8, f4, f8, n, t, v, c, b, d, ts, tz, tm, iv, ip, r, bits, pt, ia, ja, "Mixed Case" FROM types ON CONFLICT DO NOTHING;
SELECT * FROM types;
ROLLBACK;

-- joins, groups, parameters and values of the session
SET pgcluster.insert_strategy = exchange;
BEGIN;
PREPARE p (int, text) AS INSERT INTO kv (key, n, value) SELECT $2 || o.order_id || '/' || o.user_id, count(*) + $1, $2 FROM orders o JOIN order_items i USING (user_id, order_id) GROUP BY o.user_id, o.order_id;
EXECUTE p (1, 'p');
EXECUTE p (2, 'q');
INSERT INTO kv (key, n) SELECT 'now' || user_id, length(current_user) + extract(year FROM now())::int FROM users;
INSERT INTO kv (key, n) SELECT 'half' || user_id, count FROM (SELECT u.user_id, count(o.order_id) FROM users u LEFT JOIN orders o USING (user_id) GROUP BY u.user_id HAVING count(*) < 3) s;
SELECT key, n, value FROM kv;
ROLLBACK;

-- in a transaction that wrote, and is undone in part
SET pgcluster.insert_strategy = exchange;
BEGIN;
INSERT INTO nothing VALUES (900001, 'one'), (900002, 'two'), (900003, 'three');
INSERT INTO nothing SELECT id + 10, v FROM nothing WHERE id > 900000;
SAVEPOINT s;
INSERT INTO nothing SELECT id + 100, v FROM nothing WHERE id > 900000;
SELECT count(*) FROM nothing WHERE id > 900000;
ROLLBACK TO s;
INSERT INTO nothing SELECT id + 1000, v FROM nothing WHERE id > 900000;
SELECT * FROM nothing WHERE id > 900000;
ROLLBACK;

-- rows more than fit in memory
SET pgcluster.insert_strategy = exchange;
SET work_mem = '64kB';
BEGIN;
INSERT INTO nothing SELECT 1000000 + a.user_id * 10000 + b.g, repeat('long ', 20) || b.g FROM users a, generate_series(1, 200) b(g);
INSERT INTO kv (key, n) SELECT 'm' || id, id FROM nothing WHERE id > 1000000 ON CONFLICT DO NOTHING;
SELECT count(*), sum(n) FROM kv WHERE key LIKE 'm%';
SELECT count(*), sum(id), sum(length(v)) FROM nothing WHERE id > 1000000;
ROLLBACK;

-- none, and what only the coordinator can do
SET pgcluster.insert_strategy = exchange;
BEGIN;
INSERT INTO nothing SELECT id + 1, v FROM nothing WHERE id < -10;
INSERT INTO nothing SELECT 7000000 + row_number() OVER (ORDER BY user_id), name FROM users;
INSERT INTO nothing SELECT 7100000 + user_id, name FROM users ORDER BY user_id LIMIT 3;
INSERT INTO nothing SELECT DISTINCT 7200000 + a, 'd' FROM gaps WHERE a IS NOT NULL;
SELECT * FROM nothing WHERE id >= 7000000;
ROLLBACK;

-- through the coordinator
SET pgcluster.insert_strategy = pull;
BEGIN;
INSERT INTO nothing SELECT 7300000 + user_id, name FROM users;
INSERT INTO order_items SELECT user_id, order_id, line + 50, product_id, quantity, price FROM order_items WHERE line < 3;
SELECT * FROM nothing WHERE id >= 7300000;
SELECT * FROM order_items;
ROLLBACK;
