-- add a column with a default, then use it
BEGIN;
ALTER TABLE kv ADD COLUMN extra integer DEFAULT 7, ADD COLUMN more text;
UPDATE kv SET more = 'm' WHERE key = 'k15' RETURNING *;
SELECT count(*), sum(extra), count(more) FROM kv;
ROLLBACK;

-- drop a column
BEGIN;
ALTER TABLE kv DROP COLUMN value;
SELECT * FROM kv WHERE key = 'k16';
SELECT * FROM kv;
ROLLBACK;

-- a column that was added and dropped
BEGIN;
ALTER TABLE gaps ADD COLUMN e integer;
ALTER TABLE gaps DROP COLUMN b;
INSERT INTO gaps (id, a, e) VALUES (7001, 1, 2), (7002, 3, 4);
SELECT * FROM gaps WHERE id > 7000;
ROLLBACK;

-- drop the key column
-- refused: 0A000 the table is split by it
BEGIN;
ALTER TABLE kv DROP COLUMN key;
ROLLBACK;

-- add a check that all rows pass
BEGIN;
ALTER TABLE accounts ADD CONSTRAINT small CHECK (balance < 1000000);
ROLLBACK;

-- add a check that some rows break
-- fails: 23514
BEGIN;
ALTER TABLE kv ADD CONSTRAINT few CHECK (n < 5);
ROLLBACK;

-- add a check that a new row breaks
-- fails: 23514
BEGIN;
ALTER TABLE accounts ADD CONSTRAINT small CHECK (balance < 1000000);
INSERT INTO accounts (id, balance) VALUES (991, 1000001);
ROLLBACK;

-- a unique index with the key
-- fails: 23505
BEGIN;
DELETE FROM gaps WHERE id = 1 OR a IS NOT NULL;
CREATE UNIQUE INDEX ON gaps (id, a);
INSERT INTO gaps (id, a) VALUES (1, 1);
INSERT INTO gaps (id, a) VALUES (1, 1);
ROLLBACK;

-- an index, used or not
BEGIN;
CREATE INDEX kv_value ON kv (value);
SELECT count(*) FROM kv WHERE value = 'v3';
DROP INDEX kv_value;
ROLLBACK;

-- SET NOT NULL with nulls
-- fails: 23502
BEGIN;
ALTER TABLE gaps ALTER COLUMN a SET NOT NULL;
ROLLBACK;

-- SET NOT NULL, then a null
-- fails: 23502
BEGIN;
ALTER TABLE accounts ALTER COLUMN version SET NOT NULL;
INSERT INTO accounts (id, version) VALUES (992, NULL);
ROLLBACK;

-- another default
BEGIN;
ALTER TABLE kv ALTER COLUMN n SET DEFAULT 42;
INSERT INTO kv (key) VALUES ('ddl1') RETURNING n, doubled;
INSERT INTO kv (key) VALUES ('ddl2'), ('ddl3'), ('ddl4') RETURNING n, doubled;
ROLLBACK;

-- rename a column
BEGIN;
ALTER TABLE kv RENAME COLUMN value TO other;
SELECT other, count(*) FROM kv GROUP BY other;
UPDATE kv SET other = 'x' WHERE key = 'k17' RETURNING other;
ROLLBACK;

-- rename a table
BEGIN;
ALTER TABLE kv RENAME TO kw;
SELECT n FROM kw WHERE key = 'k18';
SELECT count(*) FROM kw;
ROLLBACK;

-- an error message names the table's own constraint
-- fails: 23505
BEGIN;
INSERT INTO accounts (id) VALUES (9000000063);
ROLLBACK;

-- a constraint that is dropped no longer holds
BEGIN;
ALTER TABLE accounts DROP CONSTRAINT accounts_balance_check;
INSERT INTO accounts (id, balance) VALUES (993, -1) RETURNING *;
ROLLBACK;

-- VACUUM and ANALYZE of named tables
VACUUM kv, accounts;
ANALYZE orders;

-- statistics of a table come from its shards
ANALYZE types;
SELECT reltuples FROM pg_class WHERE oid = 'types'::regclass;
SELECT attname, null_frac, n_distinct FROM pg_stats WHERE schemaname = current_schema AND tablename = 'types';
