-- merge of a table that is split likewise
MERGE INTO orders o USING order_items i ON i.user_id = o.user_id AND i.order_id = o.order_id AND i.line = 1 WHEN MATCHED AND i.quantity > 2 THEN UPDATE SET total = o.total + i.quantity WHEN MATCHED THEN DO NOTHING;

-- merge of a subquery that is split likewise
MERGE INTO orders o USING (SELECT u.user_id AS k, u.name, p.price FROM users u JOIN products p ON p.product_id = u.user_id WHERE u.active) s ON o.user_id = s.k WHEN MATCHED THEN UPDATE SET note = s.name || s.price;

-- merge by the distribution column that inserts
MERGE INTO measurements m USING users u ON m.sensor = u.user_id AND m.day = '2130-01-01' WHEN NOT MATCHED AND u.user_id < 30 THEN INSERT (sensor, day, value) VALUES (u.user_id, '2130-01-01', u.user_id * 2);
MERGE INTO measurements m USING users u ON m.sensor = u.user_id AND m.day = '2130-01-01' WHEN NOT MATCHED THEN INSERT VALUES (u.user_id, '2130-01-01', -1) WHEN MATCHED AND u.user_id % 2 = 0 THEN UPDATE SET value = m.value + 1 WHEN MATCHED AND u.user_id % 3 = 0 THEN DELETE;
MERGE INTO measurements m USING (SELECT user_id + 0 AS user_id FROM users) u ON m.sensor = u.user_id AND m.day = '2130-01-01' WHEN NOT MATCHED THEN INSERT VALUES (u.user_id, '2130-01-01', -2) WHEN MATCHED THEN DELETE;

-- merge that inserts under another key than it compares
MERGE INTO measurements m USING users u ON m.sensor = u.user_id AND m.day = '2131-01-01' WHEN NOT MATCHED AND u.user_id < 20 THEN INSERT VALUES (u.user_id + 1000, '2131-01-01', 5);

-- merge with the columns the other way round, and an integer of another size
MERGE INTO accounts a USING users u ON u.user_id = a.id AND a.version = 9 WHEN NOT MATCHED AND u.user_id < 10 THEN INSERT (id, owner, version) VALUES (u.user_id, 1, 9);
MERGE INTO accounts a USING users u ON u.user_id = a.id WHEN MATCHED THEN UPDATE SET balance = a.balance + u.user_id WHEN NOT MATCHED THEN DO NOTHING;
DELETE FROM accounts WHERE id < 60;

-- merge of one row
MERGE INTO kv USING (VALUES ('one row', 1)) v (k, n) ON kv.key = v.k WHEN MATCHED THEN UPDATE SET n = kv.n + v.n WHEN NOT MATCHED THEN INSERT (key, n) VALUES (v.k, v.n);
MERGE INTO kv USING (VALUES ('one row', 1)) v (k, n) ON kv.key = v.k WHEN MATCHED THEN UPDATE SET n = kv.n + v.n WHEN NOT MATCHED THEN INSERT (key, n) VALUES (v.k, v.n);
MERGE INTO kv USING (SELECT 'one row' AS k) v ON v.k = kv.key AND kv.n > 1 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (key) VALUES (v.k);
MERGE INTO kv USING (SELECT 'another row' AS k, 7 AS n WHERE false) v ON v.k = kv.key WHEN NOT MATCHED THEN INSERT (key) VALUES (v.k);

-- merge of one row whose key is another than the inserted one
MERGE INTO kv USING (VALUES ('one row', 'two rows')) v (k, l) ON kv.key = v.k WHEN MATCHED AND kv.n > 100 THEN DELETE WHEN NOT MATCHED THEN INSERT (key) VALUES (v.l);
MERGE INTO kv USING (VALUES ('no row', 'three rows')) v (k, l) ON kv.key = v.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (key) VALUES (v.l);

-- merge of rows with one key into it
MERGE INTO kv USING products p ON kv.key = 'one key' AND p.product_id = kv.n WHEN NOT MATCHED AND p.product_id = 3 THEN INSERT (key, n) VALUES ('one key', p.product_id);
MERGE INTO kv USING products p ON kv.key = 'one key' AND p.product_id = kv.n WHEN MATCHED THEN UPDATE SET value = p.name WHEN NOT MATCHED AND p.product_id = 99 THEN INSERT (key, n) VALUES ('one key', p.product_id);

-- merge of a reference table that inserts nothing
MERGE INTO order_items i USING products p ON p.product_id = i.product_id WHEN MATCHED AND p.category = 'books' THEN UPDATE SET price = p.price WHEN MATCHED AND p.category IS NULL THEN DELETE;
MERGE INTO users u USING countries c ON c.code = u.country AND u.user_id IN (3, 4, 5, 6) WHEN MATCHED THEN UPDATE SET email = c.name || u.name;

-- merge of rows of values that inserts nothing
MERGE INTO users u USING (VALUES (1, 'a'), (2, 'b'), (3, NULL)) v (i, t) ON u.user_id = v.i WHEN MATCHED THEN UPDATE SET email = v.t WHEN NOT MATCHED THEN DO NOTHING;

-- merge of rows of values that inserts
MERGE INTO kv USING (VALUES ('va', 1), ('vb', 2), ('k3', 3)) v (k, n) ON kv.key = v.k WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT (key, n) VALUES (v.k, v.n);

-- merge of a reference table that inserts
MERGE INTO kv USING countries c ON kv.key = c.code WHEN MATCHED THEN UPDATE SET n = kv.n + 1 WHEN NOT MATCHED THEN INSERT (key, value) VALUES (c.code, c.name);
MERGE INTO kv USING countries c ON kv.key = c.code WHEN MATCHED THEN UPDATE SET n = kv.n + 1 WHEN NOT MATCHED THEN INSERT (key, value) VALUES (c.code, c.name);

-- merge of a series
MERGE INTO measurements m USING generate_series(1, 5) g ON m.sensor = g AND m.day = '2132-01-01' WHEN NOT MATCHED THEN INSERT VALUES (g, '2132-01-01', g);
MERGE INTO measurements m USING generate_series(1, 5) g ON m.sensor = g AND m.day = '2132-01-01' WHEN MATCHED THEN DELETE;

-- merge with subqueries of reference tables
MERGE INTO orders o USING users u ON u.user_id = o.user_id AND u.user_id < 9 WHEN MATCHED AND u.country IN (SELECT code FROM countries WHERE name < 'J') THEN UPDATE SET note = (SELECT max(name) FROM products WHERE product_id = o.user_id) WHEN NOT MATCHED AND false THEN INSERT (user_id, order_id) VALUES (u.user_id, 9999);

-- merge with subqueries of distributed tables
MERGE INTO orders o USING users u ON u.user_id = o.user_id WHEN MATCHED AND o.total > (SELECT avg(total) FROM orders) THEN UPDATE SET note = 'above' WHEN NOT MATCHED THEN DO NOTHING;

-- merge of a group
MERGE INTO users u USING (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) o ON o.user_id = u.user_id WHEN MATCHED AND o.n > 5 THEN UPDATE SET email = o.n::text;

-- merge of some rows only
MERGE INTO users u USING (SELECT user_id FROM users ORDER BY user_id LIMIT 7) s ON s.user_id = u.user_id WHEN MATCHED THEN UPDATE SET email = 'first';

-- merge of an outer join
MERGE INTO measurements m USING (SELECT p.product_id, u.user_id FROM products p LEFT JOIN users u ON u.user_id = p.product_id * 10) s ON m.sensor = s.user_id AND m.day = '2133-01-01' WHEN NOT MATCHED AND s.user_id IS NOT NULL THEN INSERT VALUES (s.user_id, '2133-01-01', s.product_id);

-- merge of a column that is null for some
MERGE INTO measurements m USING (SELECT u.user_id, NULLIF(u.user_id, 5) AS k FROM users u) s ON m.sensor = s.k AND m.day = '2134-01-01' WHEN NOT MATCHED AND s.user_id < 5 THEN INSERT VALUES (s.k, '2134-01-01', s.user_id);

-- merge that finds a row twice on one shard
-- fails: 21000
MERGE INTO users u USING orders o ON o.user_id = u.user_id WHEN MATCHED THEN UPDATE SET email = o.note;

-- merge that violates a constraint on a shard
-- fails: 23514
MERGE INTO order_items i USING orders o ON o.user_id = i.user_id AND o.order_id = i.order_id WHEN MATCHED THEN UPDATE SET quantity = 0;

-- merge with the time of the statement
MERGE INTO orders o USING users u ON u.user_id = o.user_id WHEN MATCHED AND o.ordered_at > now() THEN DELETE WHEN MATCHED AND u.user_id = 4 THEN UPDATE SET ordered_at = date_trunc('year', now());

-- prepared merge of a shard
-- fails: 23502
PREPARE p (int, numeric) AS MERGE INTO measurements m USING (SELECT $1 AS k, $2 AS v) s ON m.sensor = s.k AND m.day = '2135-01-01' WHEN MATCHED THEN UPDATE SET value = m.value + s.v WHEN NOT MATCHED THEN INSERT VALUES (s.k, '2135-01-01', s.v);
EXECUTE p (1, 1);
EXECUTE p (2, 2);
EXECUTE p (1, 3);
EXECUTE p (1, 4);
EXECUTE p (2, 5);
EXECUTE p (3, 6);
EXECUTE p (3, 7);
EXECUTE p (NULL, 7);

-- prepared merge of all shards
PREPARE p (int, text) AS MERGE INTO users u USING order_items i ON u.user_id = i.user_id AND i.order_id = $1 AND i.line = 1 WHEN MATCHED THEN UPDATE SET email = $2;
EXECUTE p (8, 'a');
EXECUTE p (9, 'b');
EXECUTE p (11, 'c');
EXECUTE p (12, NULL);
EXECUTE p (13, 'd');
EXECUTE p (14, 'e');

-- merge in a function
CREATE FUNCTION pg_temp.upsert(k text, v int) RETURNS void LANGUAGE sql AS 'MERGE INTO kv USING (SELECT $1 AS k, $2 AS v) s ON s.k = kv.key WHEN MATCHED THEN UPDATE SET n = kv.n + s.v WHEN NOT MATCHED THEN INSERT (key, n) VALUES (s.k, s.v)';
SELECT pg_temp.upsert('upserted', i) FROM generate_series(1, 4) i;
DROP FUNCTION pg_temp.upsert;

-- merge into itself
MERGE INTO measurements m USING measurements o ON o.sensor = m.sensor AND o.day = m.day + 1 WHEN MATCHED THEN UPDATE SET value = o.value WHEN NOT MATCHED THEN INSERT VALUES (o.sensor, o.day + 5000, 0);

-- merge whose conditions are volatile
CREATE SEQUENCE turn;
MERGE INTO measurements m USING (SELECT g FROM generate_series(1, 40) g) s ON m.sensor = s.g % 20 AND m.day = date '2140-01-01' + s.g WHEN NOT MATCHED AND nextval('turn') % 2 = 0 THEN INSERT VALUES (s.g % 20, date '2140-01-01' + s.g, currval('turn') % 2) WHEN NOT MATCHED AND nextval('turn') % 2 = 0 THEN INSERT VALUES (s.g % 20, date '2140-01-01' + s.g, 10 + currval('turn') % 2);
SELECT value, count(*) FROM measurements WHERE day > '2139-12-31' GROUP BY 1 ORDER BY 1;
SELECT last_value FROM turn;
DROP SEQUENCE turn;

-- merge whose conditions are volatile but say nothing
MERGE INTO kv USING users u ON kv.key = 'k' || u.user_id WHEN MATCHED AND random() < 2 AND u.user_id % 3 = 0 THEN UPDATE SET n = kv.n + u.user_id, value = u.name WHEN MATCHED AND random() > 2 THEN DELETE WHEN NOT MATCHED AND random() < 2 AND u.user_id > 55 THEN INSERT (key, n) VALUES ('k' || u.user_id, (SELECT count(*) FROM orders o WHERE o.user_id = u.user_id)) WHEN MATCHED AND random() < 2 THEN UPDATE SET n = -1;

-- merge whose conditions are volatile, with whole rows and subqueries
MERGE INTO gaps AS g USING (SELECT * FROM users WHERE user_id IN (SELECT owner FROM accounts)) u ON u.user_id = g.id WHEN MATCHED AND random() < 2 THEN UPDATE SET b = (SELECT count(*)::text FROM orders o WHERE o.user_id = g.id AND o.note > u.name) || u::text WHEN NOT MATCHED AND random() < 2 THEN INSERT (id, b) VALUES (u.user_id, (SELECT max(name) FROM products));

-- merge by the distribution column whose conditions are volatile
MERGE INTO orders o USING users u ON u.user_id = o.user_id WHEN MATCHED AND random() > 2 THEN DELETE WHEN MATCHED AND random() < 2 THEN UPDATE SET note = 'drawn' WHEN NOT MATCHED AND random() > 2 THEN INSERT (user_id, order_id) VALUES (u.user_id, 1);
