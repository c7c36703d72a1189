-- rows that change their key, between nodes
SET pgcluster.insert_strategy = exchange;
INSERT INTO accounts (id, owner, balance) SELECT 20000 + order_id * 50 + user_id, user_id, coalesce(total, 0) FROM orders WHERE total >= 0 OR total IS NULL;
INSERT INTO nothing SELECT 3000 + id, b FROM gaps;
INSERT INTO events SELECT 'd' || user_id, ordered_at AT TIME ZONE 'UTC', status, total, to_jsonb(note) FROM orders;
INSERT INTO measurements (sensor, day) SELECT 5000 + owner, date '2024-05-01' + (id % 30)::int FROM accounts WHERE owner IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO measurements (sensor, day) SELECT 5000 + owner, date '2024-05-01' + (id % 30)::int FROM accounts WHERE owner IS NOT NULL ON CONFLICT DO NOTHING;

-- into the table that is read, with defaults and generated columns
SET pgcluster.insert_strategy = exchange;
INSERT INTO kv (key, n) SELECT key || '-copy', n + 1 FROM kv;
INSERT INTO kv (key, n) SELECT key || '-copy', n + 1 FROM kv WHERE key LIKE '%-copy';
INSERT INTO nothing SELECT id + 10000, v FROM nothing;
SELECT key, n, doubled, changed FROM kv WHERE key LIKE '%-copy%';

-- RETURNING, and the rows of ON CONFLICT
SET pgcluster.insert_strategy = exchange;
INSERT INTO kv (key, n) SELECT 'u' || user_id, user_id FROM users RETURNING key, n + doubled AS more, value;
INSERT INTO kv AS t (key, n) SELECT 'u' || user_id, 1000 FROM users ON CONFLICT (key) DO UPDATE SET n = t.n + excluded.n, value = 'again' WHERE t.n % 2 = 0 RETURNING *;
INSERT INTO kv (key, n) SELECT 'u' || user_id % 3, 1 FROM users ON CONFLICT (key) DO NOTHING RETURNING key;

-- the same row twice
-- fails: 21000
SET pgcluster.insert_strategy = exchange;
INSERT INTO kv (key, n) SELECT 'u' || user_id % 3, 1 FROM users ON CONFLICT (key) DO UPDATE SET n = kv.n + 1;

-- a key that is there
-- fails: 23505
SET pgcluster.insert_strategy = exchange;
INSERT INTO nothing SELECT 1, name FROM users;

-- no key
-- fails: 23502
SET pgcluster.insert_strategy = exchange;
INSERT INTO nothing SELECT a, b FROM gaps;

-- a check
-- fails: 23514
SET pgcluster.insert_strategy = exchange;
INSERT INTO accounts (id, balance) SELECT 30000 + order_id, -1 FROM orders;

-- an error while rows are found
-- fails: 22012
SET pgcluster.insert_strategy = exchange;
INSERT INTO nothing SELECT 40000 + user_id * 100 + 1 / (user_id - 5), name FROM users;

-- every type
SET pgcluster.insert_strategy = exchange;
INSERT INTO types SELECT md5(id::text)::uuid, i2, i8, f4, f8, n, t, v, c, b, d, ts, tz, tm, iv, ip, r, bits, pt, ia, ja, "Mixed Case" FROM types;

-- joins, groups, parameters and values of the session
SET pgcluster.insert_strategy = exchange;
PREPARE p (int, text) AS INSERT INTO kv (key, n, value) SELECT $2 || o.order_id || '/' || o.user_id, count(*) + $1, $2 FROM orders o JOIN order_items i USING (user_id, order_id) GROUP BY o.user_id, o.order_id;
EXECUTE p (1, 'p');
EXECUTE p (2, 'q');
INSERT INTO kv (key, n, changed) SELECT 'now' || user_id, length(current_user), date '2024-01-01' + extract(year FROM now())::int * 0 FROM users;
INSERT INTO kv (key, n) SELECT 'half' || u.user_id, count(o.order_id) FROM users u LEFT JOIN orders o USING (user_id) GROUP BY u.user_id HAVING count(*) < 3;

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
COMMIT;

-- rows more than fit in memory
SET pgcluster.insert_strategy = exchange;
SET work_mem = '64kB';
INSERT INTO nothing SELECT 1000000 + a.user_id * 10000 + b.g, repeat('long ', 20) || b.g FROM users a, generate_series(1, 400) b(g);
INSERT INTO kv (key, n) SELECT 'm' || id, id FROM nothing WHERE id > 1000000 ON CONFLICT DO NOTHING;
SELECT count(*), sum(n) FROM kv WHERE key LIKE 'm%';

-- none, and what only the coordinator can do
SET pgcluster.insert_strategy = exchange;
INSERT INTO nothing SELECT id + 1, v FROM nothing WHERE id < -10;
INSERT INTO nothing SELECT 700000 + row_number() OVER (ORDER BY user_id), name FROM users;
INSERT INTO nothing SELECT 710000 + user_id, name FROM users ORDER BY user_id LIMIT 3;
INSERT INTO nothing SELECT DISTINCT 720000 + a, 'd' FROM gaps WHERE a IS NOT NULL;

-- through the coordinator
SET pgcluster.insert_strategy = pull;
INSERT INTO nothing SELECT 730000 + user_id, name FROM users;
INSERT INTO order_items SELECT user_id, order_id, line + 50, product_id, quantity, price FROM order_items WHERE line < 3;
