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

-- rules with conditions
BEGIN;
CREATE RULE few AS ON INSERT TO gaps WHERE new.a > 10 DO INSTEAD NOTHING;
CREATE RULE once AS ON INSERT TO gaps WHERE EXISTS (SELECT FROM gaps g WHERE g.id = new.id) DO INSTEAD NOTHING;
INSERT INTO gaps (id, a) VALUES (8001, 20);
INSERT INTO gaps (id, a) VALUES (8002, 5);
INSERT INTO gaps (id, a) VALUES (8002, 6);
INSERT INTO gaps (id, a) VALUES (8003, 5), (8004, 50), (8002, 1);
INSERT INTO gaps (id, a) SELECT i, i * 4 - 32000 FROM generate_series(8001, 8005) i;
SELECT id, a FROM gaps WHERE id > 8000;
ROLLBACK;

-- what rules do besides
BEGIN;
CREATE RULE told AS ON INSERT TO gaps WHERE new.a > 5 DO ALSO INSERT INTO kv (key, value) VALUES ('g' || new.id, new.a::text);
CREATE RULE changed AS ON UPDATE TO gaps WHERE old.a <> new.a DO ALSO INSERT INTO kv (key, value) VALUES ('u' || new.id, old.a || new.b);
CREATE RULE followed AS ON UPDATE TO gaps WHERE new.a > 2 DO ALSO UPDATE accounts SET owner = new.a WHERE accounts.id = new.id;
CREATE RULE gone AS ON DELETE TO gaps DO ALSO DELETE FROM accounts WHERE accounts.id = old.id AND old.a > 1;
INSERT INTO gaps (id, a, b) VALUES (8001, 1, 'x'), (8002, 10, 'y');
INSERT INTO gaps (id, a, b) VALUES (8003, 7, 'z');
UPDATE gaps SET a = a + 1 WHERE id = 8003;
UPDATE gaps SET a = a + 1 WHERE id BETWEEN 10 AND 30;
DELETE FROM gaps WHERE id = 12;
DELETE FROM gaps WHERE id < 20;
SELECT key, value FROM kv WHERE key ~ '^[gu]';
SELECT id, owner FROM accounts;
ROLLBACK;
