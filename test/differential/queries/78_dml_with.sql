-- move rows from one table to another
WITH gone AS (DELETE FROM gaps WHERE id % 5 = 0 RETURNING id, b) INSERT INTO nothing SELECT id + 2000, b FROM gone RETURNING *;

-- move rows with ON CONFLICT
WITH gone AS (DELETE FROM gaps WHERE id < 12 RETURNING id, b) INSERT INTO nothing SELECT id + 500, 'again' || coalesce(b, '') FROM gone ON CONFLICT (id) DO UPDATE SET v = excluded.v || '!' RETURNING *;

-- changes in WITH that a SELECT shows
WITH u AS (UPDATE accounts SET balance = balance + 1 WHERE owner % 2 = 0 RETURNING id, balance) SELECT count(*), sum(balance) FROM u;

-- the rest of the statement sees what was there before
WITH u AS (UPDATE accounts SET balance = balance + 1000 RETURNING id, balance) SELECT count(*), sum(a.balance), sum(u.balance) FROM accounts a JOIN u USING (id);

-- what is inserted is not seen
WITH i AS (INSERT INTO kv (key, n) SELECT 'wi' || user_id, user_id FROM users ON CONFLICT DO NOTHING RETURNING key, n) SELECT 'new', key, n FROM i UNION ALL SELECT 'old', key, n FROM kv WHERE n < 5;

-- what is deleted is seen
WITH d AS (DELETE FROM kv WHERE n > 50 RETURNING key) SELECT (SELECT count(*) FROM d), (SELECT count(*) FROM kv);

-- two tables at once
WITH a AS (UPDATE orders SET note = 'both' WHERE order_id < 9 RETURNING user_id), b AS (UPDATE users SET email = 'both' WHERE user_id IN (SELECT user_id FROM a) RETURNING user_id, name) SELECT * FROM b;

-- a chain
WITH a AS (INSERT INTO nothing VALUES (801, 'a'), (802, 'b'), (803, 'c') RETURNING id), b AS (INSERT INTO kv (key, n) SELECT 'chain' || id, id FROM a RETURNING key, n, doubled), c AS (SELECT max(n) AS top FROM b) UPDATE gaps SET a = c.top FROM c WHERE gaps.id < 5 RETURNING gaps.id, gaps.a;

-- a query that nobody names is carried out
WITH a AS (DELETE FROM nothing WHERE id > 800), b AS (UPDATE kv SET value = 'unnamed' WHERE key LIKE 'chain%' RETURNING *) SELECT count(*) FROM regions;

-- a query in WITH that is read twice
WITH r AS (SELECT order_id, total FROM orders WHERE total > 300), d AS (DELETE FROM order_items WHERE order_id IN (SELECT order_id FROM r) RETURNING order_id, line) SELECT r.order_id, count(d.line) FROM r LEFT JOIN d USING (order_id) GROUP BY 1;

-- a recursive query and a change
WITH RECURSIVE t (i) AS (VALUES (1) UNION ALL SELECT i * 2 FROM t WHERE i < 20), u AS (UPDATE accounts SET version = version + t.i FROM t WHERE t.i = owner AND owner > 6 RETURNING owner, version) SELECT * FROM u JOIN t ON t.i = u.owner;

-- into a local table and out of it
WITH l AS (INSERT INTO regions SELECT country, 'from users' FROM users WHERE user_id < 4 RETURNING country, region), u AS (UPDATE kv SET value = l.region FROM l WHERE kv.key = 'k' || length(l.country) RETURNING key, value) SELECT (SELECT count(*) FROM l), count(*) FROM u;

-- delete from a local table into shards
WITH d AS (DELETE FROM regions WHERE region = 'from users' RETURNING country) INSERT INTO gaps (id, b) SELECT 7000 + row_number() OVER (ORDER BY country), country FROM d RETURNING *;

-- a change of the key in WITH
WITH m AS (UPDATE measurements SET sensor = sensor + 100 WHERE sensor = 3 RETURNING sensor, day) SELECT count(*), min(day) FROM m;

-- an error in a later part undoes the first
-- fails: 23505
WITH a AS (DELETE FROM gaps WHERE id < 40 RETURNING id) INSERT INTO kv (key) SELECT 'k' || id FROM a UNION ALL SELECT 'k1' UNION ALL SELECT 'k1';

-- delete and insert of the same key
WITH d AS (DELETE FROM nothing RETURNING *) INSERT INTO nothing SELECT id + 5000, v FROM d RETURNING *;

-- WITH in a function's statement
DO $$ DECLARE c int; BEGIN WITH d AS (UPDATE gaps SET c = true WHERE id > 30 RETURNING id) SELECT count(*) INTO c FROM d; INSERT INTO kv (key, n) VALUES ('from do', c); END $$;

-- prepared WITH
PREPARE p (int) AS WITH u AS (UPDATE gaps SET a = $1 WHERE id % $1 = 0 RETURNING id) SELECT count(*), $1 FROM u;
EXECUTE p (7);
EXECUTE p (9);

-- merge after a change
WITH d AS (DELETE FROM gaps WHERE id BETWEEN 41 AND 44 RETURNING id, d) SELECT * FROM d JOIN gaps USING (id);
