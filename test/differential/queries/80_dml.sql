-- insert one row
INSERT INTO kv (key, value, n) VALUES ('new1', 'x', 1);

-- insert with defaults
INSERT INTO kv (key) VALUES ('new2');

-- insert with DEFAULT and RETURNING of everything
INSERT INTO kv VALUES ('new3', DEFAULT, 5, DEFAULT, DEFAULT) RETURNING *;

-- insert with an expression in RETURNING
INSERT INTO accounts (id, owner, balance) VALUES (77, 3, 10.005) RETURNING id + 1 AS next, balance, upper('x'), accounts;

-- insert without a column list
INSERT INTO gaps VALUES (1001, NULL, 'b''1', false, 1e3);

-- insert a null key
-- fails: 23502
INSERT INTO kv (key, n) VALUES (NULL, 1);

-- insert a null into a key column without a constraint
-- refused: 23502 the distribution column says where a row lives
INSERT INTO events (device, kind) VALUES (NULL, 'x');

-- insert a duplicate
-- fails: 23505
INSERT INTO kv (key) VALUES ('k1');

-- insert against a check
-- fails: 23514
INSERT INTO accounts (id, balance) VALUES (78, -1);

-- insert against NOT NULL
-- fails: 23502
INSERT INTO order_items (user_id, order_id, line, quantity) VALUES (1, 40, 9, NULL);

-- insert against a foreign key
-- fails: 23503
INSERT INTO orders (order_id, user_id) VALUES (9001, 99999);

-- insert against a foreign key to a reference table
-- fails: 23503
INSERT INTO order_items (user_id, order_id, line, product_id) SELECT user_id, order_id, 9, 777 FROM orders WHERE order_id = 1 AND user_id = 8;

-- insert into a generated column
-- fails: 428C9
INSERT INTO kv (key, doubled) VALUES ('g', 4);

-- insert a key as an expression
INSERT INTO kv (key, n) VALUES ('a' || 'b' || 3, 1 + 2) RETURNING key, doubled;

-- insert several rows
INSERT INTO kv (key, n) VALUES ('m1', 1), ('m2', 2), ('m3', 3), ('m4', 4), ('m5', DEFAULT);

-- insert several rows, RETURNING
INSERT INTO accounts (id, owner) VALUES (101, 1), (102, 2), (103, 3), (104, 4), (105, 5) RETURNING id, balance, version;

-- insert several rows with one that is bad: none stays
-- fails: 23505
INSERT INTO kv (key, n) VALUES ('z1', 1), ('z2', 2), ('k1', 3), ('z3', 4);

-- insert several rows for one key
INSERT INTO events (device, kind, reading) VALUES ('dev-1', 'a', 1), ('dev-1', 'b', NULL), ('dev-1', 'b', NULL);

-- insert difficult text
INSERT INTO kv (key, value) VALUES (E'tab\t newline\n quote'' back\\slash', '$1 %s {shard} "q" -- no comment /* none */') RETURNING *;

-- insert of every type
INSERT INTO types VALUES ('00000000-0000-4000-8000-0000000000aa', -1, -2, 'NaN', 'infinity', 0.1000, E'\n', '', '', '\x', '0001-01-01', 'epoch', '2024-03-31 01:59:59.5+02', '24:00', '-1 day 2 hours', '::1', 'empty', B'', '(1,2)', '{}', ARRAY['null'::jsonb, NULL], '{') RETURNING *;

-- insert of a row with subqueries
INSERT INTO kv (key, n) VALUES ('sub', (SELECT count(*) FROM users));

-- insert with ON CONFLICT DO NOTHING
INSERT INTO kv (key, n) VALUES ('k1', 100) ON CONFLICT DO NOTHING;

-- insert with ON CONFLICT of a column DO NOTHING, RETURNING gives no row
INSERT INTO kv (key, n) VALUES ('k1', 100) ON CONFLICT (key) DO NOTHING RETURNING *;

-- upsert
INSERT INTO kv (key, n) VALUES ('k1', 100) ON CONFLICT (key) DO UPDATE SET n = kv.n + excluded.n, value = 'was ' || kv.value RETURNING *;

-- upsert of a new row
INSERT INTO kv AS t (key, n) VALUES ('up', 1) ON CONFLICT (key) DO UPDATE SET n = t.n + 1 RETURNING t.key, t.n;

-- upsert with a condition
INSERT INTO kv (key, n) VALUES ('k2', 7) ON CONFLICT (key) DO UPDATE SET n = excluded.n WHERE kv.n > 1000 RETURNING n;

-- upsert by constraint name
INSERT INTO kv (key, n) VALUES ('k2', 7) ON CONFLICT ON CONSTRAINT kv_pkey DO UPDATE SET n = excluded.n RETURNING n, doubled;

-- upsert with a row assignment and a subquery
INSERT INTO kv (key, n) VALUES ('k3', 7) ON CONFLICT (key) DO UPDATE SET (value, n) = (SELECT excluded.key, kv.n * 2) RETURNING *;

-- upsert of several rows
INSERT INTO kv (key, n) VALUES ('k4', 1), ('k5', 1), ('fresh', 1), ('k6', 1) ON CONFLICT (key) DO UPDATE SET n = kv.n + 1000 RETURNING key, n;

-- upsert twice of the same key
-- fails: 21000
INSERT INTO kv (key, n) VALUES ('k7', 1), ('k7', 2) ON CONFLICT (key) DO UPDATE SET n = excluded.n;

-- insert from a query over the same key
INSERT INTO order_items (user_id, order_id, line, product_id) SELECT user_id, order_id, 20, 3 FROM orders WHERE user_id = 9;

-- insert from a query over everything
INSERT INTO gaps (id, a, b) SELECT user_id + 2000, user_id % 7, name FROM users;

-- insert from a query with an aggregate, RETURNING
INSERT INTO kv (key, n) SELECT status, count(*) FROM orders GROUP BY status RETURNING key, n;

-- insert from generate_series
INSERT INTO measurements SELECT 50 + g, date '2025-01-01' + g, g FROM generate_series(1, 12) g;

-- insert from VALUES in a CTE
WITH v (k, n) AS (VALUES ('c1', 1), ('c2', 2)) INSERT INTO kv (key, n) SELECT k, n FROM v;

-- insert from a table that is empty
INSERT INTO gaps (id, b) SELECT * FROM nothing;

-- update of one key
UPDATE users SET name = 'renamed' WHERE user_id = 7;

-- update of one key, RETURNING
UPDATE accounts SET balance = balance + 5, version = version + 1 WHERE id = 1000000007 RETURNING *;

-- update of a key that is not there
UPDATE accounts SET balance = 0 WHERE id = 5 RETURNING *;

-- update with more conditions
UPDATE orders SET status = 'paid', note = NULL WHERE user_id = 3 AND status = 'new' RETURNING order_id, status;

-- update with DEFAULT
UPDATE kv SET value = DEFAULT, n = DEFAULT WHERE key = 'k9' RETURNING *;

-- update of several columns by a row
UPDATE kv SET (value, n) = ROW ('row', n + 1) WHERE key = 'k10' RETURNING value, n;

-- update of several columns by a subquery of the same key
UPDATE users SET (name, born) = (SELECT 'has ' || count(*), max(ordered_at)::date FROM orders o WHERE o.user_id = users.user_id) WHERE user_id = 12 RETURNING *;

-- update of an array element and a jsonb member
UPDATE users SET tags[2] = 'second', profile['opts']['dark'] = 'true' WHERE user_id = 13 RETURNING tags, profile;

-- update against a check
-- fails: 23514
UPDATE accounts SET balance = balance - 100000 WHERE id = 1000000007;

-- update with a wrong type
-- fails: 22P02
UPDATE kv SET n = 'many' WHERE key = 'k1';

-- update with division by zero
-- fails: 22012
UPDATE kv SET n = 1 / (n - n) WHERE key = 'k11';

-- update of the key column to itself
UPDATE kv SET key = key, n = 1 WHERE key = 'k12' RETURNING *;

-- update of the key column
UPDATE kv SET key = 'other' WHERE key = 'k12';

-- update with FROM on the same key
UPDATE orders o SET note = u.name FROM users u WHERE u.user_id = o.user_id AND o.user_id = 4 RETURNING o.order_id, o.note, u.name;

-- update with FROM a reference table
UPDATE order_items i SET price = p.price FROM products p WHERE p.product_id = i.product_id AND i.user_id = 6 RETURNING i.line, i.price, p.name;

-- update of all rows
UPDATE gaps SET d = coalesce(d, 0) + 1;

-- update of many rows by another column
UPDATE orders SET note = 'late' WHERE ordered_at < '2023-02-01' RETURNING user_id, order_id;

-- update with a subquery over the same table's key
UPDATE users SET active = false WHERE NOT EXISTS (SELECT FROM orders o WHERE o.user_id = users.user_id);

-- update of a list of keys
UPDATE kv SET n = n * 10 WHERE key IN ('k20', 'k21', 'k22', 'k99') RETURNING key, n;

-- update with a CTE
WITH v AS (SELECT 5 AS plus) UPDATE kv SET n = n + plus FROM v WHERE key = 'k13' RETURNING n;

-- update of a view
UPDATE adults SET name = upper(name) WHERE user_id = 5 RETURNING *;

-- delete of one key
DELETE FROM kv WHERE key = 'k30';

-- delete of one key, RETURNING
DELETE FROM accounts WHERE id = 2000000014 RETURNING *;

-- delete of a key that is not there
DELETE FROM accounts WHERE id = 3 RETURNING *;

-- delete against a foreign key
-- fails: 23503
DELETE FROM users WHERE user_id = 7;

-- delete with USING on the same key
DELETE FROM order_items i USING orders o WHERE o.user_id = i.user_id AND o.order_id = i.order_id AND i.user_id = 2 AND o.total > 100 RETURNING i.order_id, i.line, o.total;

-- delete with a subquery on the same key
DELETE FROM order_items i WHERE i.user_id = 10 AND EXISTS (SELECT FROM orders o WHERE o.user_id = i.user_id AND o.order_id = i.order_id AND o.status = 'new');

-- delete of rows that are there twice
DELETE FROM events WHERE device = 'dev-2' AND kind = 'data' RETURNING *;

-- delete by another column
DELETE FROM gaps WHERE a = 4 RETURNING id;

-- delete of a list of keys
DELETE FROM kv WHERE key = ANY ('{k31,k32,k33}') RETURNING key;

-- delete with a CTE that returns
WITH gone AS (DELETE FROM kv WHERE key = 'k34' RETURNING *) SELECT key, n FROM gone;

-- insert with a CTE that returns
WITH made AS (INSERT INTO kv (key, n) VALUES ('w1', 1) RETURNING *) SELECT key, doubled FROM made;

-- move a row from one table to another
WITH gone AS (DELETE FROM gaps WHERE id = 9 RETURNING id, b) INSERT INTO nothing SELECT id, b FROM gone RETURNING *;

-- insert into a reference table
INSERT INTO countries VALUES ('ES', 'Spain') RETURNING *;

-- insert several rows into a reference table
INSERT INTO products (product_id, name, price) VALUES (101, 'a', 1), (102, 'b', 2) RETURNING *;

-- insert a duplicate into a reference table
-- fails: 23505
INSERT INTO countries VALUES ('ES', 'again');

-- update of a reference table
UPDATE products SET price = price + 1 WHERE category = 'food' RETURNING product_id, price;

-- delete from a reference table
DELETE FROM products WHERE product_id = 102;

-- delete from a reference table against a foreign key
-- fails: 23503
DELETE FROM countries WHERE code = 'DE';

-- upsert into a reference table
INSERT INTO countries VALUES ('ES', 'España') ON CONFLICT (code) DO UPDATE SET name = excluded.name RETURNING name;

-- a transaction over several keys
BEGIN;
UPDATE accounts SET balance = balance - 7 WHERE id = 5000000035;
UPDATE accounts SET balance = balance + 7 WHERE id = 6000000042;
INSERT INTO kv (key, value) VALUES ('transfer', 'done');
SELECT id, balance FROM accounts WHERE id IN (5000000035, 6000000042);
COMMIT;

-- a transaction that is undone
BEGIN;
DELETE FROM kv WHERE key = 'k1';
UPDATE accounts SET balance = 0 WHERE id = 7000000049;
INSERT INTO countries VALUES ('QQ', 'none');
SELECT count(*) FROM kv;
ROLLBACK;

-- savepoints
BEGIN;
INSERT INTO kv (key) VALUES ('s1');
SAVEPOINT a;
INSERT INTO kv (key) VALUES ('s2');
ROLLBACK TO a;
INSERT INTO kv (key) VALUES ('s3');
RELEASE a;
SELECT key FROM kv WHERE key LIKE 's%';
COMMIT;

-- an error inside a savepoint
-- fails: 23505
BEGIN;
INSERT INTO kv (key) VALUES ('e1');
SAVEPOINT a;
INSERT INTO kv (key) VALUES ('e1');
ROLLBACK TO a;
INSERT INTO kv (key) VALUES ('e2');
COMMIT;

-- an error that fails the transaction
-- fails: 22012 25P02
BEGIN;
INSERT INTO kv (key) VALUES ('f1');
UPDATE kv SET n = 1 / 0 WHERE key = 'k1';
INSERT INTO kv (key) VALUES ('f2');
COMMIT;

-- a transaction sees its own writes
BEGIN;
INSERT INTO users (user_id, name) VALUES (500, 'new one');
INSERT INTO orders (order_id, user_id, total) VALUES (9000, 500, 12);
INSERT INTO order_items (user_id, order_id, line, product_id) VALUES (500, 9000, 1, 1), (500, 9000, 2, 2);
SELECT u.name, o.total, i.line FROM users u JOIN orders o USING (user_id) JOIN order_items i USING (user_id, order_id) WHERE u.user_id = 500;
SELECT count(*) FROM users;
COMMIT;

-- a read only transaction
-- fails: 25006
BEGIN READ ONLY;
SELECT count(*) FROM kv;
INSERT INTO kv (key) VALUES ('r1');
ROLLBACK;

-- COPY into a table
COPY gaps (id, a, b) FROM STDIN;
3001	1	one
3002	\N	two
3003	3	\N
\.

-- COPY as CSV
COPY kv (key, value, n) FROM STDIN (FORMAT csv, HEADER, NULL 'nil');
key,value,n
csv1,"with, comma",1
csv2,nil,2
"csv ""3""",,3
\.

-- COPY with a bad row: none stays
-- fails: 22P02
COPY gaps (id, a) FROM STDIN;
4001	1
4002	two
\.

-- COPY with a duplicate: none stays
-- fails: 23505
COPY kv (key, n) FROM STDIN;
copy1	1
k1	2
copy2	3
\.

-- COPY with a condition
COPY gaps (id, a) FROM STDIN WHERE a > 1;
5001	1
5002	2
5003	3
\.

-- COPY into a reference table
COPY countries FROM STDIN (DELIMITER '|');
PT|Portugal
GR|Greece
\.

-- COPY inside a transaction that is undone
BEGIN;
COPY gaps (id) FROM STDIN;
6001
6002
6003
\.
SELECT count(*) FROM gaps;
ROLLBACK;

-- COPY FREEZE-free of no row
COPY nothing FROM STDIN;
\.

-- MERGE by key
MERGE INTO kv USING (VALUES ('k14', 1), ('mg', 2)) v (k, n) ON kv.key = v.k WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT (key, n) VALUES (v.k, v.n);

-- TRUNCATE
TRUNCATE nothing;

-- TRUNCATE in a transaction that is undone
BEGIN;
TRUNCATE gaps, measurements;
SELECT count(*) FROM gaps;
ROLLBACK;

-- TRUNCATE with a foreign key
-- fails: 0A000
TRUNCATE users;

-- delete of all rows
DELETE FROM measurements;

-- TRUNCATE CASCADE
TRUNCATE orders CASCADE;

-- drop a table: the plain copy too
BEGIN;
DROP TABLE nothing;
ROLLBACK;

-- a view whose trigger writes instead of it
BEGIN;
CREATE VIEW shown AS SELECT key, n FROM kv OFFSET 0;
CREATE FUNCTION write_shown() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM kv WHERE key = OLD.key;
        RETURN OLD;
    END IF;
    UPDATE kv SET n = NEW.n WHERE key = OLD.key;
    RETURN NEW;
END $$;
CREATE TRIGGER instead INSTEAD OF UPDATE OR DELETE ON shown FOR EACH ROW EXECUTE FUNCTION write_shown();
UPDATE shown SET n = n + 1 WHERE key < 'k3' RETURNING *;
UPDATE shown SET n = 0 FROM users WHERE users.user_id = shown.n RETURNING key, users.name;
DELETE FROM shown WHERE n = 0 RETURNING key;
SELECT key, n FROM kv;
ROLLBACK;
