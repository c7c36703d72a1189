-- Changes of distributed tables, which the shards follow or which are refused.
CREATE EXTENSION IF NOT EXISTS pgcluster;
-- Contexts name the node.
\set SHOW_CONTEXT never
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
CREATE TABLE parent (k integer PRIMARY KEY, v text);
CREATE TABLE child (k integer, n integer, PRIMARY KEY (k, n));
CREATE TABLE ref (id integer PRIMARY KEY, name text);
SELECT create_distributed_table('parent', 'k', shard_count => 2), create_distributed_table('child', 'k', shard_count => 2);
SELECT create_reference_table('ref');
INSERT INTO ref VALUES (1, 'one');
INSERT INTO parent SELECT g, 'v' || g FROM generate_series(1, 10) g;
INSERT INTO child VALUES (1, 1), (5, 1);

ALTER TABLE parent ADD COLUMN c integer DEFAULT 7, ADD COLUMN d text NOT NULL DEFAULT 'zz';
SELECT * FROM parent WHERE k = 3;
ALTER TABLE parent RENAME k TO key;
SELECT * FROM parent WHERE key = 3;
SELECT distribution_column FROM cluster_tables WHERE table_name = 'parent'::regclass;
ALTER TABLE child ADD FOREIGN KEY (k) REFERENCES parent ON DELETE CASCADE;
INSERT INTO child VALUES (99, 1);
ALTER TABLE parent ADD FOREIGN KEY (c) REFERENCES ref;
ALTER TABLE parent DROP COLUMN c;
ALTER TABLE parent ADD COLUMN r integer REFERENCES ref DEFAULT 1;
ALTER TABLE parent ADD CHECK (key < 10);
ALTER TABLE parent ADD CHECK (key < 100) NOT VALID;
ALTER TABLE parent VALIDATE CONSTRAINT parent_key_check;
ALTER TABLE parent ADD COLUMN u integer UNIQUE;
ALTER TABLE parent ADD COLUMN ten integer GENERATED ALWAYS AS (key * 10) STORED;
ALTER TABLE parent ADD COLUMN s serial;
ALTER TABLE ref ADD COLUMN at timestamptz DEFAULT now();
ALTER TABLE parent ALTER v SET NOT NULL;
INSERT INTO parent (key) VALUES (50);
ALTER TABLE parent ALTER d SET DEFAULT 'new', ALTER v DROP NOT NULL;
INSERT INTO parent (key) VALUES (50) RETURNING *;
CREATE INDEX parent_v ON parent (v);
CREATE UNIQUE INDEX ON parent (v);
CREATE UNIQUE INDEX ON parent (v, key);
CREATE INDEX IF NOT EXISTS parent_v ON parent (v);
ALTER INDEX parent_v RENAME TO parent_v2;
ALTER TABLE parent RENAME CONSTRAINT parent_pkey TO parent_key;
CREATE STATISTICS parent_stat ON v, d FROM parent;
SELECT shard_schema AS piece FROM cluster_shards WHERE table_name = 'parent'::regclass ORDER BY hash_min LIMIT 1 \gset
SELECT replace(indexdef, :'piece', 'SHARD') FROM pg_indexes WHERE schemaname = :'piece' ORDER BY 1;
SELECT conrelid::regclass::text LIKE '%child' AS of_child, conname,
    regexp_replace(pg_get_constraintdef(oid), '[a-z]+_[0-9]+\.', 'SHARD.') AS definition
FROM pg_constraint WHERE connamespace = :'piece'::regnamespace AND contype <> 'n' ORDER BY 1, 2;
DROP INDEX parent_v2;
DROP STATISTICS parent_stat;
ALTER TABLE child DROP CONSTRAINT child_k_fkey;
ALTER TABLE parent DROP COLUMN key CASCADE;
ALTER TABLE parent ALTER v TYPE varchar(10);
ALTER TABLE parent ALTER v TYPE varchar(1);
ALTER TABLE parent DROP COLUMN ten;
ALTER TABLE parent ALTER key TYPE bigint;
ALTER TABLE parent ALTER key TYPE numeric;
SELECT DISTINCT attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE relname = 'parent' AND attnum > 0 AND NOT attisdropped ORDER BY 1;
SELECT * FROM parent WHERE key = 3;
SELECT indexdef LIKE '%(v, key)' AS still_there FROM pg_indexes WHERE indexname = 'parent_v_key_idx';
ALTER TABLE parent RENAME TO parents;
SELECT count(*) FROM parents;
SELECT replace(indexdef, :'piece', 'SHARD') FROM pg_indexes WHERE schemaname = :'piece' ORDER BY 1;

CREATE ROLE alter_user;
GRANT SELECT (v), INSERT ON parents TO alter_user;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
REVOKE INSERT ON parents FROM alter_user;
SELECT relacl FROM pg_class WHERE oid = format('%I.parents', :'piece')::regclass
EXCEPT SELECT relacl FROM pg_class WHERE oid = 'parents'::regclass;
SELECT attacl::text LIKE '{alter_user=r/%' AS granted FROM pg_attribute WHERE attrelid = format('%I.parents', :'piece')::regclass AND attname = 'v';
ALTER TABLE parents OWNER TO alter_user;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname = 'parents';

-- What the shards cannot follow is refused before anything changes.
CREATE TABLE heir () INHERITS (child);
CREATE TABLE local (k integer, n integer, FOREIGN KEY (k, n) REFERENCES child);
INSERT INTO child VALUES (7, 7);
INSERT INTO local VALUES (7, 7);
SELECT create_distributed_table('local', 'k', colocate_with => 'none');
SELECT create_distributed_table('local', 'k');
INSERT INTO local VALUES (7, 7);
DROP TABLE local;
CREATE TABLE local (id integer REFERENCES ref);
INSERT INTO local VALUES (1);
INSERT INTO local VALUES (2);
DELETE FROM ref;
ALTER TABLE local ADD k integer REFERENCES child (k);
DROP TABLE local;

-- Shards are vacuumed and analyzed with their table.
VACUUM (ANALYZE, PARALLEL 0, INDEX_CLEANUP auto) child (k);
BEGIN;
ANALYZE child;
COMMIT;
SELECT min(reltuples) >= 0 AS analyzed FROM pg_class WHERE relname = 'child' AND relnamespace <> 'public'::regnamespace;

-- These only concern the shell.
COMMENT ON TABLE child IS 'a comment';
CREATE TABLE copy_of (LIKE child INCLUDING ALL);
DROP TABLE copy_of, child, ref, parents CASCADE;
DROP ROLE alter_user;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^public_';
DROP EXTENSION pgcluster;
