-- writes beside a reference table with policies
BEGIN;
CREATE TABLE owned (id int PRIMARY KEY, owner text, x int);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('owned'); END IF; EXECUTE format('GRANT USAGE ON SCHEMA %I TO pg_monitor', current_schema()); END $$;
INSERT INTO owned SELECT i, CASE WHEN i % 2 = 0 THEN 'pg_monitor' ELSE 'other' END, i * 10 FROM generate_series(1, 20) i;
GRANT ALL ON owned, kv, gaps TO pg_monitor;
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON owned USING (owner = current_user);
SET LOCAL ROLE pg_monitor;
UPDATE gaps SET a = x FROM owned o WHERE o.id = gaps.id RETURNING gaps.id, a, x;
INSERT INTO gaps (id, a) SELECT id + 6000, x FROM owned RETURNING id, a;
INSERT INTO gaps (id, a) SELECT id + 7000, x FROM owned;
UPDATE owned SET x = x + 1 WHERE id IN (SELECT id FROM gaps) RETURNING *;
DELETE FROM gaps USING owned WHERE owned.x = gaps.a RETURNING gaps.id;
MERGE INTO gaps USING owned ON owned.id = gaps.id WHEN MATCHED THEN UPDATE SET d = 0;
MERGE INTO owned USING gaps ON owned.id = gaps.id WHEN MATCHED THEN UPDATE SET x = 0;
SELECT id, a, d FROM gaps;
SELECT * FROM owned;
ROLLBACK;

-- a new row of a reference table against a policy
-- fails: 42501
BEGIN;
CREATE TABLE owned (id int PRIMARY KEY, owner text, x int);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('owned'); END IF; EXECUTE format('GRANT USAGE ON SCHEMA %I TO pg_monitor', current_schema()); END $$;
GRANT ALL ON owned, kv TO pg_monitor;
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON owned USING (owner = current_user);
SET LOCAL ROLE pg_monitor;
INSERT INTO owned SELECT n, 'pg_monitor', 3 FROM kv WHERE n BETWEEN 1 AND 9 RETURNING *;
INSERT INTO owned SELECT n + 500, 'other', 3 FROM kv WHERE n BETWEEN 1 AND 9 RETURNING *;
ROLLBACK;

-- rows of a query for a table with policies
BEGIN;
GRANT ALL ON gaps, kv TO pg_monitor;
DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO pg_monitor', current_schema()); END $$;
ALTER TABLE gaps ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON gaps USING (id < 5000);
SET LOCAL ROLE pg_monitor;
INSERT INTO gaps (id, a) SELECT n + 3000, 1 FROM kv WHERE n BETWEEN 1 AND 9 AND key < 'k2';
UPDATE gaps SET a = 9 WHERE id IN (SELECT n + 3000 FROM kv) RETURNING id, a;
DELETE FROM gaps WHERE id > 3003 RETURNING id;
ROLLBACK;

-- a row of a query against a policy
-- fails: 42501
BEGIN;
GRANT ALL ON gaps, kv TO pg_monitor;
DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO pg_monitor', current_schema()); END $$;
ALTER TABLE gaps ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON gaps USING (id < 5000);
SET LOCAL ROLE pg_monitor;
INSERT INTO gaps (id, a) SELECT 6000 + max(n), 1 FROM kv;
ROLLBACK;

-- a view that is a security barrier
BEGIN;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM kv WHERE n < 9;
UPDATE barrier SET value = value || 'b' RETURNING key, value;
UPDATE barrier SET value = value || u.user_id FROM users u WHERE u.user_id = n RETURNING key, value;
DELETE FROM barrier WHERE key = 'k3' RETURNING *;
UPDATE barrier SET n = n + 1 WHERE key = 'k4';
INSERT INTO barrier (key, n) VALUES ('b1', 3), ('b2', 20);
INSERT INTO barrier (key, n) SELECT 'c' || n, n FROM barrier WHERE n = 5 AND key < 'k6';
SELECT key, value, n FROM kv;
ROLLBACK;
