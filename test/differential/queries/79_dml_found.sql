-- update with FROM a table that is not colocated
UPDATE orders o SET note = a.owner || ' owns' FROM accounts a WHERE a.owner = o.user_id AND a.owner > 6 RETURNING o.order_id, o.note, o.status;

-- update with several candidates for a row: one of them counts
UPDATE kv SET n = 77 FROM events e WHERE e.reading > kv.n AND kv.n < 4 RETURNING key, n, doubled;

-- update with a local table
UPDATE users SET email = r.region FROM regions r WHERE r.country = users.country RETURNING user_id, email, r.region, r;

-- update with a subquery over another column
UPDATE users SET active = true WHERE user_id IN (SELECT owner FROM accounts WHERE balance > 300) RETURNING user_id;

-- update with a correlated subquery over another column
UPDATE gaps SET d = (SELECT sum(total) FROM orders o WHERE o.order_id = gaps.id) WHERE EXISTS (SELECT FROM orders o WHERE o.order_id = gaps.id) RETURNING id, d;

-- update of several columns by a subquery over another column
UPDATE gaps SET (a, b) = (SELECT count(*), max(status) FROM orders o WHERE o.order_id < gaps.id) WHERE id < 20 RETURNING *;

-- update with LIMIT in a subquery
UPDATE orders SET status = 'first' WHERE (user_id, order_id) IN (SELECT user_id, order_id FROM orders ORDER BY ordered_at LIMIT 10) RETURNING order_id;

-- update with a subquery that is run once
UPDATE accounts SET balance = balance + (SELECT count(*) FROM users) WHERE owner < (SELECT avg(user_id) FROM users);

-- update with a CTE over several shards
WITH busy AS (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) UPDATE users SET name = name || b.n FROM busy b WHERE b.user_id = users.user_id AND b.n > 5 RETURNING users.user_id, name, b.n;

-- update of an array element with a join on another column
UPDATE users SET tags[1] = 'x' || a.id, profile['level'] = '99' FROM accounts a WHERE a.owner = user_id AND a.id < 20000000140 RETURNING user_id, tags, profile;

-- update returning whole rows
UPDATE gaps SET a = 5 FROM accounts a WHERE a.owner = gaps.id AND a.owner > 6 RETURNING gaps, a.id, a.*;

-- update returning subqueries
UPDATE gaps SET a = 6 FROM accounts a WHERE a.owner = gaps.id AND a.owner > 6 RETURNING gaps.id, (SELECT max(user_id) FROM users), (SELECT name FROM users WHERE user_id = gaps.id), (SELECT count(*) FROM accounts b WHERE b.owner = a.owner);

-- update against a check with a join
-- fails: 23514
UPDATE accounts SET balance = -1 FROM orders o WHERE o.order_id = owner AND owner > 5;

-- update with a join that computes an error
-- fails: 22012
UPDATE accounts SET balance = 1 / (o.order_id - o.order_id) FROM orders o WHERE o.order_id = owner;

-- update with an outer join
UPDATE gaps SET b = coalesce(a.status, 'nobody') FROM gaps g LEFT JOIN orders a ON a.order_id = g.a WHERE g.id = gaps.id AND gaps.id < 30 RETURNING gaps.id, gaps.b;

-- update with itself on another column
UPDATE gaps SET b = 'of ' || g.id FROM gaps g WHERE g.a = gaps.id AND g.id < 7 RETURNING gaps.id, gaps.b, g.a;

-- update with a generated column
UPDATE kv SET n = o.order_id FROM orders o WHERE 'k' || o.order_id = kv.key RETURNING *;

-- update of every type
UPDATE types SET t = t || k.n, n = types.n + 1, ia = ia || 5, ja = ja || 'null'::jsonb FROM kv k WHERE k.n = types.i2 RETURNING types.*;

-- update where nothing is found
UPDATE gaps SET a = 1 FROM accounts a WHERE a.owner = gaps.id AND a.owner > 6 AND false RETURNING *;

-- prepared update with a join
PREPARE p (int, text) AS UPDATE gaps SET a = $1, b = $2 FROM accounts a WHERE a.owner = gaps.id AND a.owner > 6 AND a.owner > $1 RETURNING gaps.id, $2 || a.owner;
EXECUTE p (5, 'five');
EXECUTE p (7, NULL);

-- delete with USING a table that is not colocated
DELETE FROM events USING orders o WHERE o.order_id::text = substr(device, 5) AND o.order_id < 3 RETURNING device, kind, o.total;

-- delete with a local table
DELETE FROM order_items i USING products p, regions r WHERE p.product_id = i.product_id AND length(r.region) = i.line AND i.user_id < 9 RETURNING i.*, p.name, r.region;

-- delete with a subquery over another column
DELETE FROM gaps WHERE id IN (SELECT owner FROM accounts WHERE owner > 40) RETURNING *;

-- delete of the newest rows
DELETE FROM events WHERE (device, at) IN (SELECT device, at FROM events ORDER BY at DESC, device LIMIT 5) RETURNING device, at, kind;

-- delete against a foreign key with a join
-- fails: 23503
DELETE FROM users USING accounts a WHERE a.owner = user_id;

-- insert from a query with ON CONFLICT
INSERT INTO kv (key, n) SELECT 'k' || user_id, user_id * 1000 FROM users WHERE user_id > 30 ON CONFLICT (key) DO UPDATE SET n = excluded.n + kv.n, value = 'merged' WHERE kv.n <> 33 RETURNING key, n, value, doubled;

-- insert from a query with ON CONFLICT DO NOTHING
INSERT INTO kv (key, n) SELECT 'k' || user_id, user_id FROM users ON CONFLICT DO NOTHING RETURNING key;

-- insert from a query that hits a row twice
-- fails: 21000
INSERT INTO kv (key, n) SELECT 'k' || user_id / 2, user_id FROM users ON CONFLICT (key) DO UPDATE SET n = excluded.n;

-- insert from a query with RETURNING of an expression and a subquery
INSERT INTO measurements SELECT user_id, date '2030-01-01', user_id / 3.0 FROM users RETURNING sensor * 2, value, (SELECT count(*) FROM regions);

-- insert from a query with a duplicate
-- fails: 23505
INSERT INTO kv (key, n) SELECT 'k' || user_id, user_id FROM users RETURNING key;

-- change of the key
UPDATE kv SET key = key || '-moved' WHERE n % 3 = 0 RETURNING *;

-- change of the key onto another row
-- fails: 23505
UPDATE kv SET key = 'k1' WHERE key IN ('k4', 'k5');

-- change of the key to null
-- fails: 23502
UPDATE kv SET key = NULL WHERE key = 'k4';

-- change of the key of one row
UPDATE kv SET key = 'single', n = n + 1 WHERE key = 'k7' RETURNING key, n, doubled;

-- change of the key with a join, RETURNING both
UPDATE gaps SET id = gaps.id + 10000, b = a.owner FROM accounts a WHERE a.owner = gaps.id AND a.owner > 6 RETURNING gaps.*, a.id;

-- change of the key of all rows
UPDATE events SET device = 'all';

-- change of a key that a foreign key refers to
-- fails: 23503
UPDATE users SET user_id = user_id + 1000 WHERE user_id = 8;

-- change of a key that nothing refers to
UPDATE users SET user_id = user_id + 1000 WHERE user_id > 55 RETURNING user_id;

-- change of a key that has a foreign key
-- fails: 23503
UPDATE orders SET user_id = 99999 WHERE order_id = 3;

-- change of a key and what goes with it in a transaction
BEGIN;
UPDATE order_items SET user_id = 41 WHERE user_id = 8 AND false;
UPDATE accounts SET id = id + 1;
UPDATE accounts SET id = id - 1 RETURNING id, owner;
COMMIT;

-- merge from a distributed table
MERGE INTO kv USING users u ON kv.key = 'k' || u.user_id WHEN MATCHED AND u.active THEN UPDATE SET n = kv.n + u.user_id, value = u.name WHEN MATCHED AND u.country = 'IT' THEN DELETE WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED AND u.user_id < 57 THEN INSERT (key, n) VALUES ('k' || u.user_id, u.user_id) WHEN NOT MATCHED THEN DO NOTHING;

-- merge by the distribution column
MERGE INTO users USING accounts a ON a.owner = user_id AND a.owner > 6 WHEN MATCHED THEN UPDATE SET email = a.id::text WHEN NOT MATCHED THEN DO NOTHING;

-- merge with defaults
MERGE INTO kv USING (SELECT i FROM generate_series(38, 45) i) s ON kv.key = 'k' || s.i WHEN MATCHED THEN UPDATE SET value = DEFAULT WHEN NOT MATCHED THEN INSERT (key) VALUES ('k' || s.i);

-- merge that finds a row twice
-- fails: 21000
MERGE INTO kv USING order_items i ON kv.key = 'k' || i.order_id WHEN MATCHED THEN UPDATE SET n = i.line;

-- merge that inserts a duplicate
-- fails: 23505
MERGE INTO kv USING generate_series(1, 3) i ON kv.key = 'x' || i WHEN NOT MATCHED THEN INSERT (key) VALUES ('dup');

-- merge that inserts a null key
-- fails: 23502
MERGE INTO kv USING generate_series(1, 3) i ON kv.key = 'x' || i WHEN NOT MATCHED THEN INSERT (n) VALUES (i);

-- merge that moves rows
MERGE INTO gaps USING orders o ON gaps.id = o.order_id WHEN MATCHED AND o.order_id < 20 THEN UPDATE SET id = o.order_id + 20000, b = o.status WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND o.order_id < 60 THEN INSERT VALUES (o.order_id, 1, o.status, true, o.total);

-- merge with subqueries and whole rows
MERGE INTO gaps AS g USING (SELECT * FROM users WHERE user_id IN (SELECT owner FROM accounts)) u ON u.user_id = g.id WHEN MATCHED AND EXISTS (SELECT FROM orders o WHERE o.user_id = g.id) THEN UPDATE SET b = (SELECT count(*)::text FROM orders o WHERE o.user_id = g.id) || g::text WHEN NOT MATCHED THEN INSERT (id, b) VALUES (u.user_id, (SELECT max(name) FROM products));

-- prepared merge
PREPARE p (text, int) AS MERGE INTO kv USING (VALUES ($1, $2)) v (k, n) ON v.k = kv.key WHEN MATCHED THEN UPDATE SET n = kv.n + v.n WHEN NOT MATCHED THEN INSERT (key, n) VALUES (v.k, v.n);
EXECUTE p ('merged', 1);
EXECUTE p ('merged', 2);

-- insert from a query that stays on its shards
INSERT INTO order_items (user_id, order_id, line, product_id, quantity) SELECT user_id, order_id, 50, 3, count(*) FROM order_items GROUP BY user_id, order_id RETURNING user_id, order_id, quantity;

-- insert from a join that stays on its shards
INSERT INTO order_items (user_id, order_id, line, price) SELECT o.user_id, order_id, 60, length(u.name) FROM orders o JOIN users u USING (user_id) WHERE o.status = 'new' ON CONFLICT DO NOTHING;

-- insert into the same table from itself
INSERT INTO events SELECT device, at + interval '1 year', 'copy', reading * 2, payload FROM events WHERE kind = 'stop';

-- insert from a query with LIMIT: the first of all shards
INSERT INTO order_items (user_id, order_id, line) SELECT user_id, order_id, 70 FROM orders ORDER BY ordered_at LIMIT 7 RETURNING user_id, order_id;

-- insert from a query with DISTINCT and a window
INSERT INTO order_items (user_id, order_id, line, quantity) SELECT DISTINCT ON (user_id) user_id, order_id, 80, row_number() OVER (PARTITION BY user_id ORDER BY order_id) FROM orders ORDER BY user_id, order_id RETURNING *;

-- insert from an outer join whose key may be null
-- fails: 23502
INSERT INTO order_items (user_id, order_id, line) SELECT o.user_id, o.order_id, 90 FROM users u LEFT JOIN orders o USING (user_id);

-- insert from a set operation by key
INSERT INTO kv (key, value) SELECT key || 'u', value FROM kv WHERE n < 5 UNION SELECT key || 'u', 'more' FROM kv WHERE n = 7;

-- insert of another column as the key
INSERT INTO gaps (id, a, b) SELECT a + 30000, id, 'turned' FROM gaps WHERE a IS NOT NULL;

-- insert from a reference table alone
INSERT INTO gaps (id, b) SELECT product_id + 40000, name FROM products;
