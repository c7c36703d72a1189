-- a reference table with a trigger BEFORE each row
BEGIN;
CREATE TABLE rb (id int PRIMARY KEY, v text, changed int DEFAULT 0);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('rb'); END IF; END $$;
CREATE FUNCTION rb_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := NEW.changed + 1; RETURN NEW; END $$;
CREATE TRIGGER rb_change BEFORE INSERT OR UPDATE ON rb FOR EACH ROW EXECUTE FUNCTION rb_change();
INSERT INTO rb VALUES (100, 'x'), (101, 'y') RETURNING *;
INSERT INTO rb SELECT user_id, name FROM users RETURNING *;
UPDATE rb SET v = v || o.total FROM orders o WHERE o.order_id = rb.id RETURNING rb.*;
UPDATE rb SET v = 'const' WHERE id = 3 RETURNING *;
DELETE FROM rb USING orders o WHERE o.order_id = rb.id + 1 AND o.order_id > 30 RETURNING id;
INSERT INTO rb SELECT user_id, 'again' FROM users WHERE user_id < 40 ON CONFLICT (id) DO UPDATE SET v = rb.v || excluded.v RETURNING *;
MERGE INTO rb USING orders o ON o.order_id = rb.id WHEN MATCHED AND o.order_id < 5 THEN UPDATE SET id = rb.id + 200 WHEN MATCHED AND o.order_id < 9 THEN DELETE WHEN NOT MATCHED AND o.order_id < 90 THEN INSERT VALUES (o.order_id, 'new');
WITH n AS (INSERT INTO rb VALUES (300, 'in with') RETURNING id) UPDATE kv SET n = n.id FROM n WHERE kv.key = 'k1' RETURNING kv.n;
COPY rb FROM STDIN;
400	copied	5
401	copied	6
\.
COPY rb (id, v) FROM STDIN (FORMAT csv);
402,"copied, too"
\.
PREPARE ins (int, text) AS INSERT INTO rb VALUES ($1, $2), ($1 + 1, $2) RETURNING *;
EXECUTE ins (900500, 'a');
EXECUTE ins (900600, 'b');
SELECT rb.id, rb.v, rb.changed, count(*) FROM rb CROSS JOIN kv GROUP BY 1, 2, 3;
ROLLBACK;

-- a reference table whose trigger keeps rows, and the time
BEGIN;
CREATE TABLE rb (id int PRIMARY KEY, v text, changed timestamptz);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('rb'); END IF; END $$;
CREATE FUNCTION rb_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'DELETE' THEN RETURN CASE WHEN OLD.v = 'kept' THEN NULL ELSE OLD END; END IF; IF NEW.id < 0 THEN RETURN NULL; END IF; NEW.changed := clock_timestamp(); NEW.v := NEW.v || (SELECT count(*) FROM orders WHERE order_id <= NEW.id); RETURN NEW; END $$;
CREATE TRIGGER rb_time BEFORE INSERT OR UPDATE OR DELETE ON rb FOR EACH ROW EXECUTE FUNCTION rb_time();
INSERT INTO rb VALUES (1, 'a'), (2, 'b'), (-3, 'c') RETURNING id, v;
INSERT INTO rb VALUES (4, 'a') RETURNING id, v, changed > now() - interval '1 hour';
UPDATE rb SET v = 'q' WHERE id = 2;
UPDATE rb SET id = -1 WHERE id = 1;
DELETE FROM rb WHERE id = 4;
COPY rb (id, v) FROM STDIN;
7	seven
-7	none
\.
SELECT rb.id, rb.v, count(*), count(DISTINCT rb.changed) FROM rb CROSS JOIN kv GROUP BY 1, 2;
SELECT count(DISTINCT rb.changed) = count(DISTINCT rb.id) FROM rb CROSS JOIN kv;
ROLLBACK;

-- such a trigger and foreign keys that act
-- refused: every copy does by itself what a foreign key does
BEGIN;
CREATE TABLE ra (id int PRIMARY KEY);
CREATE TABLE rb (id int PRIMARY KEY, a int REFERENCES ra ON DELETE CASCADE, changed timestamptz);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('ra'); PERFORM create_reference_table('rb'); END IF; END $$;
CREATE FUNCTION rb_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER rb_time BEFORE UPDATE ON rb FOR EACH ROW EXECUTE FUNCTION rb_time();
ROLLBACK;

-- the same the other way round
-- refused: every copy does by itself what a foreign key does
BEGIN;
CREATE TABLE ra (id int PRIMARY KEY);
CREATE TABLE rb (id int PRIMARY KEY, a int, changed timestamptz);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('ra'); PERFORM create_reference_table('rb'); END IF; END $$;
CREATE FUNCTION rb_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER rb_time BEFORE UPDATE ON rb FOR EACH ROW EXECUTE FUNCTION rb_time();
ALTER TABLE rb ADD FOREIGN KEY (a) REFERENCES ra ON DELETE SET NULL;
ROLLBACK;

-- foreign key actions that stay on a shard
BEGIN;
CREATE TABLE p (k int, id int, v text, PRIMARY KEY (k, id));
CREATE TABLE c (k int, n int PRIMARY KEY, pid int DEFAULT 0, FOREIGN KEY (k, pid) REFERENCES p ON UPDATE CASCADE ON DELETE SET NULL (pid));
ALTER TABLE c DROP CONSTRAINT c_pkey, ADD PRIMARY KEY (k, n);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('p', 'k'); PERFORM create_distributed_table('c', 'k'); END IF; END $$;
INSERT INTO p SELECT i % 5, i, 'p' || i FROM generate_series(1, 20) i;
INSERT INTO c SELECT i % 5, i * 10 + n, i FROM generate_series(1, 20) i, generate_series(1, 3) n;
UPDATE p SET id = id + 100 WHERE id < 8;
DELETE FROM p WHERE id > 15 AND id < 100;
SELECT * FROM p;
SELECT * FROM c;
ROLLBACK;

-- cascade to a colocated table from a reference table
BEGIN;
CREATE TABLE p (id int PRIMARY KEY, v text);
CREATE TABLE c (k int, pid int REFERENCES p ON UPDATE CASCADE ON DELETE CASCADE);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('p'); PERFORM create_distributed_table('c', 'k'); END IF; END $$;
INSERT INTO p SELECT i, 'p' || i FROM generate_series(1, 10) i;
INSERT INTO c SELECT i, 1 + i % 10 FROM generate_series(1, 30) i;
UPDATE p SET id = id + 100 WHERE id < 5;
DELETE FROM p WHERE id > 7 AND id < 100;
UPDATE p SET id = p.id + 100 FROM orders o WHERE o.order_id = p.id AND p.id < 100;
SELECT * FROM p;
SELECT * FROM c;
ROLLBACK;

-- merge with a source of WITH
WITH s AS (SELECT owner, sum(balance) AS b FROM accounts GROUP BY owner) MERGE INTO gaps g USING s ON s.owner = g.id WHEN MATCHED AND s.b > 300 THEN UPDATE SET d = s.b WHEN MATCHED AND g.a IS NULL THEN DO NOTHING WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, d) VALUES (s.owner + 500, s.b);

-- merge that assigns several columns
MERGE INTO gaps g USING accounts a ON a.owner = g.id AND a.owner > 6 WHEN MATCHED THEN UPDATE SET (a, b) = (a.owner, 'row');
MERGE INTO gaps g USING accounts a ON a.owner = g.id AND a.owner > 6 WHEN MATCHED THEN UPDATE SET (a, b) = (SELECT a.owner + 1, 'sub');
MERGE INTO users u USING accounts a ON a.owner = u.user_id AND a.owner > 6 WHEN MATCHED THEN UPDATE SET tags[1] = 'merged', email = a.id;

-- merge that assigns several columns on a shard
MERGE INTO gaps g USING users u ON u.user_id = g.id WHEN MATCHED THEN UPDATE SET (a, b) = (SELECT u.user_id + 1, 'sub' || count(*) FROM orders o WHERE o.user_id = g.id);
MERGE INTO gaps g USING (SELECT 5 AS i) s ON s.i = g.id WHEN MATCHED THEN UPDATE SET (a, b) = (SELECT i, 'x') WHEN NOT MATCHED THEN INSERT VALUES (s.i);

-- writes of a role for whom policies hold
-- fails: 42501
DO $$ BEGIN IF current_schema() <> 'plain' THEN CREATE ROLE policed; END IF; END $$;
BEGIN;
CREATE TABLE sec (k int PRIMARY KEY, who text, v int);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('sec', 'k'); END IF; END $$;
ALTER TABLE sec ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON sec USING (who = 'me') WITH CHECK (v < 100);
INSERT INTO sec SELECT i, CASE WHEN i % 2 = 0 THEN 'me' ELSE 'you' END, i FROM generate_series(1, 20) i;
ALTER TABLE sec FORCE ROW LEVEL SECURITY;
GRANT ALL ON sec TO policed;
DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO policed', current_schema()); END $$;
SET LOCAL ROLE policed;
MERGE INTO sec USING (VALUES (2, 50), (4, 60), (30, 3)) s (k, v) ON s.k = sec.k WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.k, 'me', s.v);
MERGE INTO sec USING (VALUES (6, 50)) s (k, v) ON s.k = sec.k WHEN MATCHED THEN DELETE;
UPDATE sec SET v = v + 1 RETURNING *;
UPDATE sec SET v = sec.v + 1 FROM generate_series(1, 9) i WHERE i = sec.v RETURNING *;
DELETE FROM sec WHERE v = 50 RETURNING *;
INSERT INTO sec VALUES (40, 'me', 3), (41, 'me', 4) RETURNING *;
INSERT INTO sec VALUES (40, 'me', 3) ON CONFLICT (k) DO UPDATE SET v = 7 RETURNING *;
SELECT * FROM sec;
SAVEPOINT a;
UPDATE sec SET v = 200;
ROLLBACK TO a;
MERGE INTO sec USING (VALUES (2, 500), (4, 60)) s (k, v) ON s.k = sec.k WHEN MATCHED THEN UPDATE SET v = s.v;
ROLLBACK TO a;
UPDATE sec SET k = k + 1000 WHERE k = 4 RETURNING *;
INSERT INTO sec VALUES (50, 'you', 300);
ROLLBACK;

-- views with LOCAL and CASCADED CHECK OPTION
-- fails: 44000
BEGIN;
CREATE VIEW v1 AS SELECT * FROM gaps WHERE id > 0 AND coalesce(a, 0) < 10;
CREATE VIEW v2 AS SELECT id, a, b FROM v1 WHERE b IS DISTINCT FROM 'bad' WITH LOCAL CHECK OPTION;
CREATE VIEW v3 AS SELECT id, a, b FROM v1 WHERE b IS DISTINCT FROM 'bad' WITH CASCADED CHECK OPTION;
INSERT INTO v2 VALUES (5001, 20, 'ok'), (5002, 2, 'ok') RETURNING *;
UPDATE v2 SET a = 30 WHERE id = 5002 RETURNING *;
UPDATE v3 SET a = a + 1 WHERE id < 9 AND a < 9;
SAVEPOINT a;
INSERT INTO v3 VALUES (5003, 20, 'ok');
ROLLBACK TO a;
INSERT INTO v2 VALUES (5003, 20, 'bad');
ROLLBACK TO a;
UPDATE v3 SET (a, b) = (SELECT 20, 'x') WHERE id = 7;
ROLLBACK TO a;
UPDATE v3 SET a = o.order_id FROM orders o WHERE o.order_id = v3.id;
ROLLBACK TO a;
INSERT INTO v3 SELECT user_id + 6000, user_id, 'q' FROM users;
ROLLBACK TO a;
INSERT INTO v3 SELECT user_id + 6000, user_id, 'q' FROM users WHERE user_id < 10 RETURNING *;
MERGE INTO gaps USING (SELECT DISTINCT id FROM v3) v ON v.id = gaps.id WHEN MATCHED THEN UPDATE SET d = 3;
DELETE FROM v3 WHERE id > 6000 RETURNING *;
UPDATE v3 SET a = -1 FROM orders o WHERE o.order_id = v3.id AND v3.id < 20 RETURNING v3.*, o.total;
SELECT * FROM gaps;
ROLLBACK;

-- check options with a subquery, and row assignment
BEGIN;
CREATE VIEW v3 AS SELECT * FROM orders WHERE EXISTS (SELECT FROM users u WHERE u.user_id = orders.user_id AND u.active) WITH CHECK OPTION;
UPDATE v3 SET (status, note) = (SELECT 'x', 'y');
UPDATE v3 SET (status, note) = ('x', 'z') WHERE user_id = 7;
SELECT * FROM orders;
ROLLBACK;

-- rules that do something else
BEGIN;
CREATE VIEW ruled AS SELECT key, n FROM kv;
CREATE RULE ins AS ON INSERT TO ruled DO INSTEAD INSERT INTO kv (key, n) VALUES (NEW.key, NEW.n) RETURNING key, n;
CREATE RULE upd AS ON UPDATE TO ruled DO INSTEAD UPDATE kv SET n = NEW.n WHERE key = OLD.key RETURNING key, n;
CREATE RULE del AS ON DELETE TO ruled DO INSTEAD DELETE FROM kv WHERE key = OLD.key RETURNING key, n;
INSERT INTO ruled VALUES ('r1', 1), ('r2', 2) RETURNING *;
UPDATE ruled SET n = n + 1 WHERE key LIKE 'r%' RETURNING *;
UPDATE ruled SET n = o.order_id FROM orders o WHERE o.order_id = ruled.n RETURNING ruled.*;
DELETE FROM ruled WHERE n < 5 RETURNING *;
SELECT key, n FROM kv;
ROLLBACK;

-- INSTEAD OF triggers for rows of a query
BEGIN;
CREATE VIEW shown AS SELECT key, n FROM kv OFFSET 0;
CREATE FUNCTION write_shown() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO kv (key, n) VALUES (NEW.key, NEW.n); RETURN NEW; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON shown FOR EACH ROW EXECUTE FUNCTION write_shown();
INSERT INTO shown SELECT 'shown' || user_id, user_id FROM users WHERE user_id < 5 RETURNING *;
INSERT INTO shown VALUES ('s77', 77) RETURNING *;
COPY shown FROM STDIN;
s88	88
s89	89
\.
SELECT key, n FROM kv;
ROLLBACK;

-- data-modifying WITH, several deep
WITH a AS (INSERT INTO kv (key, n) SELECT 'deep' || user_id, user_id FROM users WHERE user_id < 6 RETURNING key, n), b AS (UPDATE gaps SET a = a.n FROM a WHERE a.n = gaps.id RETURNING gaps.id, gaps.a, a.key), c AS (DELETE FROM measurements USING b WHERE b.id = sensor RETURNING sensor, day), d AS (INSERT INTO nothing SELECT DISTINCT sensor + 3000, 'd' FROM c RETURNING id) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM c), (SELECT array_agg(id ORDER BY id) FROM d);

-- data-modifying WITH on one table twice
WITH a AS (UPDATE kv SET n = n + 1 WHERE key = 'k5' RETURNING *), b AS (UPDATE kv SET n = n + 1 WHERE key = 'k6' RETURNING *) SELECT * FROM a UNION ALL SELECT * FROM b;
WITH a AS (DELETE FROM kv WHERE n BETWEEN 20 AND 23 RETURNING *), b AS (INSERT INTO kv (key, n) SELECT key || 'x', n FROM a RETURNING *) SELECT a.key, b.key FROM a JOIN b USING (n);

-- WITH in WITH that changes
WITH o AS (WITH i AS (SELECT max(n) AS m FROM kv) UPDATE gaps SET a = i.m FROM i WHERE gaps.id < 4 RETURNING gaps.id, gaps.a) SELECT * FROM o;

-- upsert by an expression and a partial index
BEGIN;
CREATE TABLE un (k int, e text, live boolean, n int DEFAULT 1);
CREATE UNIQUE INDEX un_e ON un (k, lower(e));
CREATE UNIQUE INDEX un_l ON un (k) WHERE live;
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('un', 'k'); END IF; END $$;
INSERT INTO un VALUES (1, 'A', false), (2, 'B', true), (3, 'C', true);
INSERT INTO un (k, e, live) VALUES (1, 'a', false), (2, 'b', false), (4, 'd', false) ON CONFLICT (k, lower(e)) DO UPDATE SET n = un.n + 1, live = excluded.live RETURNING *;
INSERT INTO un (k, e, live) VALUES (3, 'z', true) ON CONFLICT (k) WHERE live DO UPDATE SET (e, n) = (SELECT excluded.e, un.n + 10) WHERE un.n < 5 RETURNING *;
INSERT INTO un (k, e, live) SELECT user_id % 5, 'q', true FROM users WHERE user_id < 5 ON CONFLICT (k) WHERE live DO UPDATE SET e = 'conf' || excluded.k RETURNING *;
INSERT INTO un (k, e, live) VALUES (3, 'z', true), (9, 'n', true) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO un AS u (k, e, live) VALUES (3, 'z', true) ON CONFLICT (k) WHERE live DO UPDATE SET n = (SELECT max(product_id) FROM products) + u.n WHERE EXISTS (SELECT FROM countries WHERE code = 'DE') RETURNING u, u.*;
SELECT * FROM un;
ROLLBACK;

-- upsert that assigns the key to itself
INSERT INTO kv (key, n) VALUES ('k3', 7), ('k300', 8) ON CONFLICT (key) DO UPDATE SET key = excluded.key, n = excluded.n RETURNING *;
INSERT INTO kv (key, n) VALUES ('k3', 9) ON CONFLICT (key) DO UPDATE SET key = excluded.key, n = excluded.n RETURNING *;
INSERT INTO kv (key, n) SELECT 'k' || user_id, 9 FROM users WHERE user_id < 7 ON CONFLICT (key) DO UPDATE SET key = excluded.key, n = excluded.n RETURNING *;

-- upsert that changes the key
-- refused: the row may belong to another shard
INSERT INTO kv (key, n) VALUES ('k3', 7) ON CONFLICT (key) DO UPDATE SET key = 'moved' RETURNING *;

-- upsert into a reference table from a query with RETURNING
INSERT INTO countries SELECT left(status, 2), status FROM orders GROUP BY status ON CONFLICT (code) DO NOTHING RETURNING *;
INSERT INTO countries SELECT 'DE', 'Deutschland' FROM users WHERE user_id = 3 ON CONFLICT ON CONSTRAINT countries_pkey DO UPDATE SET (name) = ROW (excluded.name || countries.name) WHERE countries.name <> 'x' RETURNING *, (SELECT count(*) FROM orders);

-- defaults and identities
-- fails: 428C9
BEGIN;
CREATE TABLE ids (k int, a int GENERATED ALWAYS AS IDENTITY, b int GENERATED BY DEFAULT AS IDENTITY, c text DEFAULT 'def', d int GENERATED ALWAYS AS (k * 2) STORED, PRIMARY KEY (k, a));
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('ids', 'k'); END IF; END $$;
INSERT INTO ids (k, b, c) VALUES (1, DEFAULT, 'x'), (2, 7, DEFAULT), (3, DEFAULT, DEFAULT) RETURNING *;
INSERT INTO ids (k, a) OVERRIDING SYSTEM VALUE VALUES (4, 100), (5, 200) RETURNING *;
INSERT INTO ids (k, a, b) OVERRIDING USER VALUE VALUES (6, 100, 100), (7, 200, 200) RETURNING *;
INSERT INTO ids (k, a, b) OVERRIDING SYSTEM VALUE SELECT user_id, user_id, user_id FROM users WHERE user_id BETWEEN 10 AND 14 RETURNING *;
INSERT INTO ids (k, a, b) OVERRIDING USER VALUE SELECT user_id, user_id, user_id FROM users WHERE user_id = 15 RETURNING *;
INSERT INTO ids VALUES (20, DEFAULT, DEFAULT, DEFAULT, DEFAULT), (21, DEFAULT, 5, 'x', DEFAULT) RETURNING *;
UPDATE ids SET a = DEFAULT, b = DEFAULT WHERE k = 4 RETURNING k, a, b;
UPDATE ids SET k = k + 100 WHERE k < 3 RETURNING *;
SAVEPOINT a;
INSERT INTO ids (k, a) VALUES (8, 1);
ROLLBACK TO a;
INSERT INTO ids (k, d) VALUES (8, 1);
ROLLBACK TO a;
UPDATE ids SET a = 5 WHERE k = 3;
ROLLBACK TO a;
INSERT INTO ids (k, a) OVERRIDING SYSTEM VALUE VALUES (4, 100);
ROLLBACK TO a;
COPY ids (k, a, b) FROM STDIN;
30	1	1
31	2	2
\.
SELECT k, a, b, c, d FROM ids;
ROLLBACK;

-- update with several matches counts rows once
UPDATE users SET active = NOT active FROM orders o WHERE o.user_id = users.user_id;
UPDATE gaps SET c = true FROM orders o WHERE o.order_id % 50 = gaps.id;

-- delete with LATERAL
DELETE FROM order_items i USING orders o, LATERAL (SELECT count(*) AS n FROM order_items x WHERE x.user_id = o.user_id AND x.order_id = o.order_id) c WHERE o.user_id = i.user_id AND o.order_id = i.order_id AND c.n = 2 AND i.user_id < 7 RETURNING i.*, c.n;
DELETE FROM order_items i USING orders o, LATERAL (SELECT max(user_id) AS n FROM users x WHERE x.user_id < o.order_id) c WHERE o.order_id = i.line + 10 AND c.n = i.user_id RETURNING i.*, c.n;

-- a cursor's row
-- refused: it is known on its node only
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM kv WHERE key = 'k1' FOR UPDATE;
FETCH c;
UPDATE kv SET n = 0 WHERE CURRENT OF c;
ROLLBACK;

-- returning whole rows and subqueries
UPDATE kv SET n = n + 1 WHERE key = 'k11' RETURNING kv, kv.*, (SELECT count(*) FROM users), (SELECT name FROM users WHERE user_id = kv.n);
UPDATE kv SET n = n + 1 WHERE n < 9 RETURNING kv, kv.*, (SELECT count(*) FROM users), (SELECT name FROM users WHERE user_id = kv.n);
INSERT INTO kv (key, n) VALUES ('wr1', 3), ('wr2', 4) RETURNING kv, (SELECT name FROM users WHERE user_id = kv.n), (SELECT max(n) FROM kv k2 WHERE k2.key LIKE 'k%');
DELETE FROM kv WHERE key LIKE 'wr%' RETURNING kv, to_jsonb(kv), (kv).n;
DELETE FROM kv WHERE key = 'k12' RETURNING row_to_json(kv.*), (SELECT array_agg(line ORDER BY line) FROM order_items WHERE order_id = kv.n);

-- volatile functions are evaluated once
BEGIN;
CREATE SEQUENCE once;
UPDATE kv SET n = nextval('once') WHERE key LIKE 'k1%' RETURNING n > 0;
SELECT last_value FROM once;
UPDATE kv SET n = nextval('once') + 0 * length(value) WHERE key = 'k2' RETURNING n, doubled;
INSERT INTO kv (key, n) VALUES ('on1', nextval('once')), ('on2', nextval('once')) RETURNING n, doubled;
INSERT INTO kv (key, n) SELECT 'on' || user_id, nextval('once') FROM users WHERE user_id BETWEEN 3 AND 9;
SELECT count(*), sum(n), count(DISTINCT n) FROM kv;
DELETE FROM kv WHERE key LIKE 'on%' AND n = nextval('once') - 10000;
INSERT INTO countries VALUES ('O' || nextval('once') % 10, 'once ' || nextval('once')) RETURNING *;
UPDATE countries SET name = nextval('once') WHERE code = 'XX' RETURNING *;
SELECT last_value FROM once;
ROLLBACK;

-- which rows of an upsert are new
BEGIN;
INSERT INTO kv (key, n) VALUES ('k3', 7) ON CONFLICT (key) DO UPDATE SET n = 3 RETURNING xmax = 0;
INSERT INTO kv (key, n) VALUES ('k300', 7) ON CONFLICT (key) DO UPDATE SET n = 3 RETURNING key, xmax = 0 AS inserted;
INSERT INTO kv (key, n) VALUES ('k4', 7), ('k400', 7), ('k5', 7) ON CONFLICT (key) DO UPDATE SET n = 3 RETURNING key, (xmax = 0) AS inserted;
INSERT INTO kv (key, n) SELECT 'k' || user_id, 5 FROM users ON CONFLICT (key) DO UPDATE SET n = 3 RETURNING key, (xmax = 0) AS inserted;
INSERT INTO kv (key, n) SELECT key, 5 FROM kv ON CONFLICT (key) DO UPDATE SET n = 4 RETURNING key, (xmax = 0) AS inserted;
INSERT INTO countries SELECT DISTINCT left(status, 2), status FROM orders UNION SELECT 'DE', 'x' ON CONFLICT (code) DO UPDATE SET name = 'y' RETURNING code, xmax = 0;
INSERT INTO countries VALUES ('DE', 'new'), ('QQ', 'q') ON CONFLICT (code) DO UPDATE SET name = 'y' RETURNING code, xmax = 0;
ROLLBACK;

-- fields and elements are assigned
BEGIN;
CREATE TYPE place AS (x int, y int, t text[]);
CREATE TABLE composite (k int PRIMARY KEY, p place, a int[], m int[][], j jsonb, ps place[]);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('composite', 'k'); END IF; END $$;
INSERT INTO composite (k, p.x, p.y) VALUES (1, 2, 3) RETURNING *;
INSERT INTO composite (k, p.x, a[1], a[3]) VALUES (2, 2, 3, 5), (3, 7, 8, 9) RETURNING *;
INSERT INTO composite (k, p.x, j['a']) SELECT user_id, user_id, '1' FROM users WHERE user_id BETWEEN 5 AND 9 RETURNING *;
UPDATE composite SET p.x = 5, a[2] = 4, a[4:5] = '{1,2}', j['b']['c'] = '2', ps[1].x = 3, p.t[1] = 'q' WHERE k = 1 RETURNING *;
UPDATE composite SET p.x = 6, a[2] = 4, j['b']['c'] = '2', ps[1].x = 3, ps[1].y = 4 RETURNING *;
UPDATE composite SET p.x = o.order_id, p.y = o.user_id, ps[1].x = 9, m = '{{1,2},{3,4}}' FROM orders o WHERE o.order_id = composite.k RETURNING composite.*;
UPDATE composite SET m[1][2] = 7, (p.x, p.y) = (SELECT 1, 2), a = a[2:3] WHERE k < 4 RETURNING *;
UPDATE composite SET k = k + 10, p.x = 99, a[1] = 1 WHERE k > 6 RETURNING *;
INSERT INTO composite (k, p.x) VALUES (1, 9) ON CONFLICT (k) DO UPDATE SET p.x = (excluded.p).x + 1, a[1] = 77 RETURNING *;
SELECT * FROM composite;
ROLLBACK;

-- partitioned tables that are split: by the other column
-- fails: 23514
BEGIN;
CREATE TABLE pt (k int, d int, v text, PRIMARY KEY (k, d)) PARTITION BY RANGE (d);
CREATE TABLE pt1 PARTITION OF pt FOR VALUES FROM (0) TO (10);
CREATE TABLE pt2 PARTITION OF pt FOR VALUES FROM (10) TO (100);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('pt', 'k'); END IF; END $$;
INSERT INTO pt SELECT user_id, user_id % 20, name FROM users WHERE user_id < 61 RETURNING *;
UPDATE pt SET d = d + 10 WHERE d < 5 RETURNING *;
UPDATE pt SET d = d - 10 WHERE k = 12 RETURNING *;
UPDATE pt SET k = k + 100, d = 3 WHERE d = 11 RETURNING *;
UPDATE pt SET k = k + 100 WHERE d = 12 RETURNING *;
UPDATE pt SET d = o.order_id FROM orders o WHERE o.order_id = pt.k AND o.order_id < 30 RETURNING pt.*;
UPDATE pt1 SET v = 'one' WHERE k < 30 RETURNING *;
DELETE FROM pt1 USING orders o WHERE o.order_id = k RETURNING pt1.*;
INSERT INTO pt1 VALUES (1000, 5, 'direct') RETURNING *;
INSERT INTO pt VALUES (1000, 5, 'again'), (1001, 15, 'b') ON CONFLICT (k, d) DO UPDATE SET v = excluded.v || pt.v RETURNING *;
MERGE INTO pt USING users u ON u.user_id = pt.k WHEN MATCHED AND pt.d < 50 THEN UPDATE SET d = pt.d + 1 WHEN NOT MATCHED THEN INSERT VALUES (u.user_id, 50, 'm');
SAVEPOINT a;
UPDATE pt SET d = 500 WHERE k = 1000;
ROLLBACK TO a;
UPDATE pt1 SET d = 50 WHERE k = 1000;
ROLLBACK TO a;
INSERT INTO pt1 VALUES (1, 50);
ROLLBACK TO a;
SELECT * FROM pt;
SELECT * FROM pt1;
ROLLBACK;

-- partitioned by the column that they are split by
-- fails: 23514
BEGIN;
CREATE TABLE pt (k int PRIMARY KEY, v text) PARTITION BY RANGE (k);
CREATE TABLE pt1 PARTITION OF pt FOR VALUES FROM (0) TO (30);
CREATE TABLE pt2 PARTITION OF pt FOR VALUES FROM (30) TO (1000);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('pt', 'k'); END IF; END $$;
INSERT INTO pt SELECT user_id, name FROM users WHERE user_id < 61;
UPDATE pt SET k = k + 30 WHERE k > 35 RETURNING *;
UPDATE pt SET k = k + 500 WHERE k = 5 RETURNING *;
UPDATE pt1 SET k = 29 WHERE k = 29 RETURNING *;
SAVEPOINT a;
UPDATE pt1 SET k = 300 WHERE k = 7;
ROLLBACK TO a;
SELECT * FROM pt;
SELECT * FROM pt2;
ROLLBACK;

-- rows locked in subqueries of writes
UPDATE kv SET n = 0 WHERE key IN (SELECT key FROM kv WHERE n > 30 ORDER BY key LIMIT 3 FOR UPDATE SKIP LOCKED) RETURNING key;
DELETE FROM gaps WHERE id IN (SELECT id FROM gaps ORDER BY id LIMIT 2 FOR UPDATE) RETURNING id;
INSERT INTO nothing SELECT user_id + 8000, name FROM users WHERE user_id < 4 FOR SHARE RETURNING *;
UPDATE gaps SET a = 9 FROM (SELECT id FROM gaps WHERE id = 20 FOR UPDATE NOWAIT) g WHERE g.id = gaps.id RETURNING gaps.id;
WITH q AS (SELECT key FROM kv WHERE key = 'k20' FOR NO KEY UPDATE) UPDATE kv SET n = 2 FROM q WHERE q.key = kv.key RETURNING kv.key;
WITH q AS (SELECT id FROM gaps WHERE a IS NOT NULL ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED) DELETE FROM gaps USING q WHERE q.id = gaps.id RETURNING gaps.*;

-- deferred constraints
-- fails: 23503
BEGIN;
CREATE TABLE dp (k int PRIMARY KEY, v int);
CREATE TABLE dc (k int REFERENCES dp DEFERRABLE INITIALLY DEFERRED, v int, UNIQUE (k, v) DEFERRABLE INITIALLY DEFERRED);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('dp', 'k'); PERFORM create_distributed_table('dc', 'k'); END IF; END $$;
INSERT INTO dc VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO dp VALUES (1, 1), (2, 2), (3, 3);
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
DELETE FROM dp WHERE k = 2;
SAVEPOINT a;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO a;
INSERT INTO dp VALUES (2, 5);
INSERT INTO dc VALUES (1, 1);
DELETE FROM dc WHERE k = 1;
UPDATE dp SET k = k + 0;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM dp;
ROLLBACK;

-- triggers of distributed tables
BEGIN;
CREATE TABLE tt (k int PRIMARY KEY, v int, log text DEFAULT '');
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('tt', 'k'); END IF; END $$;
CREATE FUNCTION tt_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'DELETE' THEN RETURN CASE WHEN OLD.v = 13 THEN NULL ELSE OLD END; END IF; NEW.log := NEW.log || TG_OP || coalesce(TG_ARGV[0], ''); IF NEW.v = 7 THEN RETURN NULL; END IF; RETURN NEW; END $$;
CREATE TRIGGER tt_row BEFORE INSERT OR UPDATE OR DELETE ON tt FOR EACH ROW EXECUTE FUNCTION tt_row('!');
INSERT INTO tt SELECT user_id, user_id FROM users RETURNING k, log;
UPDATE tt SET v = v + 1 WHERE k < 9 RETURNING *;
UPDATE tt SET v = tt.v + 1 FROM orders o WHERE o.order_id = tt.k RETURNING tt.*;
DELETE FROM tt WHERE v > 50;
DELETE FROM tt WHERE v = 13;
INSERT INTO tt VALUES (5, 9), (500, 7), (501, 8) ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING *;
MERGE INTO tt USING users u ON u.user_id = tt.k WHEN MATCHED AND tt.v < 10 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 1 WHEN NOT MATCHED THEN INSERT VALUES (u.user_id, u.user_id);
UPDATE tt SET k = k + 1000 WHERE k < 6 RETURNING *;
SELECT * FROM tt;
ROLLBACK;

-- several fields of one column
BEGIN;
CREATE TYPE inside AS (x int, y text);
CREATE TYPE outside AS (f int, gone int, g text, i inside, elements int[]);
ALTER TYPE outside DROP ATTRIBUTE gone;
CREATE DOMAIN checked AS outside CHECK ((VALUE).f > 0);
CREATE TABLE cd (k int PRIMARY KEY, c checked, d outside DEFAULT ROW(1, 'd', ROW(1, 'd'), '{1}'));
CREATE TABLE cr (k int PRIMARY KEY, c checked, d outside DEFAULT ROW(1, 'd', ROW(1, 'd'), '{1}'));
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('cd', 'k'); PERFORM create_reference_table('cr'); END IF; END $$;
INSERT INTO cd (k, c.f, c.g, c.i.x, c.i.y) VALUES (1, 2, 'a', 3, 'b'), (2, 3, 'c', 4, 'd');
INSERT INTO cr (k, c.f, c.g, c.i.x, c.i.y) VALUES (1, 2, 'a', 3, 'b'), (2, 3, 'c', 4, 'd');
INSERT INTO cd (k, d.f, d.i.y) VALUES (5, 2, 'a') RETURNING *;
INSERT INTO cr (k, d.f, d.i.y) VALUES (5, 2, 'a') RETURNING *;
INSERT INTO cd (k, c.f) VALUES (1, 2) ON CONFLICT (k) DO UPDATE SET c.f = (excluded.c).f + 1, c.g = 'e' RETURNING *;
INSERT INTO cd (k, c.f) VALUES (1, 2), (3, 1) ON CONFLICT (k) DO UPDATE SET c.f = (excluded.c).f + 1, c.i.y = 'p', c.i.x = 5 RETURNING *;
INSERT INTO cr (k, c.f) VALUES (1, 2), (3, 1) ON CONFLICT (k) DO UPDATE SET c.f = (excluded.c).f + 1, c.i.y = 'p', c.i.x = 5 RETURNING *;
UPDATE cd SET c.f = (c).f + 1, c.i.x = (c).f + 2, d.f = 5, d.i.y = 'new' WHERE k = 1 RETURNING *;
UPDATE cr SET d.f = 5, d.i.y = 'new', d.i.x = 7 WHERE k = 1 RETURNING *;
UPDATE cd SET (d.f, d.i) = (SELECT 3, ROW(3, 'x')::inside) WHERE k = 1 RETURNING *;
UPDATE cd SET (d.f, d.i.x) = (SELECT k, k + 1) RETURNING *;
UPDATE cd SET d.f = 5, d.elements[2] = 3 RETURNING *;
MERGE INTO cd USING (VALUES (1, 1), (9, 9)) v(a, b) ON k = v.a WHEN MATCHED THEN UPDATE SET c.f = v.b + 20, c.g = 'xx' WHEN NOT MATCHED THEN INSERT (k, c.f, c.g, c.i.x, d.i.x, d.i.y) VALUES (v.a, v.b, 'm', 1, 2, '3');
SELECT * FROM cd;
SELECT * FROM cr;
ROLLBACK;

-- a reference table without columns
BEGIN;
CREATE TABLE nc ();
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('nc'); END IF; END $$;
INSERT INTO nc DEFAULT VALUES;
INSERT INTO nc SELECT FROM users WHERE user_id < 3;
SELECT count(*) FROM nc;
DELETE FROM nc;
SELECT count(*) FROM nc;
ROLLBACK;

-- writes of partitioned reference tables that read other tables
BEGIN;
CREATE TABLE pr (k int, v int, t text DEFAULT 'd', g int GENERATED ALWAYS AS (v * 2) STORED, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE pr1 PARTITION OF pr FOR VALUES FROM (0) TO (10);
CREATE TABLE pr2 (x int, v int, t text DEFAULT 'd', k int NOT NULL, g int GENERATED ALWAYS AS (v * 2) STORED);
ALTER TABLE pr2 DROP COLUMN x;
ALTER TABLE pr ATTACH PARTITION pr2 FOR VALUES FROM (10) TO (20);
CREATE TABLE pr3 PARTITION OF pr FOR VALUES FROM (20) TO (1000) PARTITION BY LIST (k);
CREATE TABLE pr31 PARTITION OF pr3 DEFAULT;
CREATE TABLE note (n text);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('pr'); END IF; END $$;
CREATE FUNCTION pr_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO note SELECT TG_OP || string_agg(n::text, ';' ORDER BY n.k) FROM n; RETURN NULL; END $$;
CREATE TRIGGER pr_note AFTER INSERT ON pr REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION pr_note();
CREATE TRIGGER pr_note2 AFTER UPDATE ON pr REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION pr_note();
INSERT INTO pr (k, v) SELECT user_id, user_id FROM users WHERE user_id < 30 RETURNING k, g;
INSERT INTO pr (k, v) SELECT user_id, 5 FROM users WHERE user_id BETWEEN 25 AND 33 ON CONFLICT (k) DO UPDATE SET v = pr.v + excluded.v RETURNING *;
INSERT INTO pr (k, v) SELECT user_id, 5 FROM users WHERE user_id BETWEEN 25 AND 34 ON CONFLICT DO NOTHING RETURNING *;
SELECT count(*), sum(v), sum(hashtext(pr::text)) FROM pr;
SELECT count(*), sum(pr.v), sum(hashtext(pr::text)) FROM users u JOIN pr ON k = user_id;
UPDATE pr SET v = v + 100 FROM users u WHERE u.user_id = k AND u.user_id % 2 = 0 RETURNING pr.*;
UPDATE pr SET k = k + 40 FROM users u WHERE u.user_id = k AND u.user_id % 3 = 0 RETURNING pr.*;
UPDATE pr SET v = (SELECT count(*) FROM orders o WHERE o.user_id = k), t = 'x' WHERE k < 15;
DELETE FROM pr USING users u WHERE u.user_id = k AND u.user_id % 5 = 0 RETURNING pr.*;
SELECT count(*), sum(v), sum(hashtext(pr::text)) FROM pr;
SELECT count(*), sum(pr.v), sum(hashtext(pr::text)) FROM (SELECT DISTINCT user_id FROM users) u JOIN pr ON k = user_id;
MERGE INTO pr USING users u ON u.user_id = pr.k WHEN MATCHED AND k < 5 THEN DELETE WHEN MATCHED AND k < 18 THEN UPDATE SET v = -1 WHEN MATCHED THEN UPDATE SET v = u.user_id WHEN NOT MATCHED AND u.user_id < 70 THEN INSERT (k, v) VALUES (u.user_id, 9);
SELECT * FROM pr ;
SELECT count(*), sum(pr.v), sum(hashtext(pr::text)) FROM pr WHERE EXISTS (SELECT FROM users WHERE user_id = pr.k);
SELECT count(*), sum(hashtext(n)) FROM note;
DELETE FROM pr WHERE random() < 2;
SELECT count(*) FROM pr;
ROLLBACK;

-- writes of partitioned reference tables without a key
BEGIN;
CREATE TABLE pn (k int, v int) PARTITION BY HASH (k);
CREATE TABLE pn1 PARTITION OF pn FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE pn2 PARTITION OF pn FOR VALUES WITH (MODULUS 2, REMAINDER 1);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('pn'); END IF; END $$;
INSERT INTO pn SELECT k, 1 FROM generate_series(1, 6) k, generate_series(1, 2);
INSERT INTO pn SELECT user_id, 1 FROM users WHERE user_id < 9 RETURNING *;
UPDATE pn SET k = k + 1 FROM users u WHERE u.user_id = k;
DELETE FROM pn USING orders o WHERE o.order_id = pn.k AND pn.k < 5;
SELECT * FROM pn ;
SELECT k, v, count(*) FROM pn, users WHERE user_id = 1 GROUP BY 1, 2 ;
ROLLBACK;

-- rows of a partitioned reference table that MERGE may move
-- refused: MERGE may move rows
BEGIN;
CREATE TABLE pn (k int, v int) PARTITION BY HASH (k);
CREATE TABLE pn1 PARTITION OF pn FOR VALUES WITH (MODULUS 1, REMAINDER 0);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('pn'); END IF; END $$;
MERGE INTO pn USING users u ON u.user_id = pn.k WHEN MATCHED THEN UPDATE SET k = k + 500;
