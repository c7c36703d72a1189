-- What changes a table changes its shards: after each statement all have the
-- same definition.
\getenv abs_srcdir PG_ABS_SRCDIR
\set begin :abs_srcdir '/test/ddl_begin.sql'
\i :begin
CREATE TABLE item (
    k integer NOT NULL, n integer NOT NULL, v text DEFAULT 'none', amount numeric(10,2), at timestamptz DEFAULT now(),
    PRIMARY KEY (k, n)
) WITH (fillfactor = 70, toast.autovacuum_enabled = off);
ALTER TABLE item ALTER v SET STORAGE EXTERNAL, ALTER v SET STATISTICS 50, ALTER n SET (n_distinct = 5), REPLICA IDENTITY FULL;
CREATE INDEX item_v ON item (v, (amount * 2)) WITH (fillfactor = 60);
ALTER INDEX item_v ALTER COLUMN 2 SET STATISTICS 30;
CREATE STATISTICS item_stat ON v, amount FROM item;
ALTER STATISTICS item_stat SET STATISTICS 20;
ALTER TABLE item CLUSTER ON item_pkey;
INSERT INTO item SELECT g, g % 3, 'v' || g, g FROM generate_series(1, 20) g;
SELECT create_distributed_table('item', 'k', shard_count => 3);
SELECT * FROM differences('item');

-- Columns.
ALTER TABLE item ALTER v SET STORAGE MAIN;
ALTER TABLE item ALTER v SET STORAGE EXTENDED, ALTER v SET STATISTICS -1, ALTER v SET COMPRESSION pglz;
SELECT * FROM differences('item');
ALTER TABLE item ALTER n RESET (n_distinct), ALTER v SET (n_distinct_inherited = 7), ALTER v SET COMPRESSION default;
ALTER TABLE item ALTER v SET DEFAULT upper('other'), ALTER amount SET DEFAULT 0, ALTER amount SET NOT NULL;
SELECT * FROM differences('item');
ALTER TABLE item ALTER v DROP DEFAULT, ALTER amount DROP NOT NULL;
ALTER TABLE item ADD COLUMN twice numeric GENERATED ALWAYS AS (amount * 2) STORED, ADD COLUMN w text COLLATE "C" DEFAULT 'x' NOT NULL;
SELECT * FROM differences('item');
ALTER TABLE item ALTER twice DROP EXPRESSION;
ALTER TABLE item RENAME w TO "W w";
ALTER TABLE item DROP COLUMN "W w";
SELECT * FROM differences('item');
SELECT count(*), sum(twice) FROM item;
-- Rows that are there get one value, or values of their own.
ALTER TABLE item ADD COLUMN since timestamptz DEFAULT now(), ADD COLUMN id uuid DEFAULT gen_random_uuid();
SELECT * FROM differences('item');
SELECT count(DISTINCT since), count(DISTINCT id) FROM item;
-- ... or numbers, each once.
ALTER TABLE item ADD COLUMN number serial, ADD COLUMN down bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT -5 MAXVALUE 100);
SELECT * FROM differences('item');
SELECT count(DISTINCT number), max(number), count(DISTINCT down), min(down) FROM item;
CREATE SEQUENCE item_seq;
ALTER TABLE item ADD COLUMN label text DEFAULT nextval('item_seq') || '-' || nextval('item_seq') NOT NULL;
SELECT count(DISTINCT label), max(split_part(label, '-', 2)::integer), nextval('item_seq') FROM item;
ALTER SEQUENCE item_seq MAXVALUE 50;
ALTER TABLE item ADD COLUMN few integer DEFAULT nextval('item_seq');
CREATE FUNCTION item_number() RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER TABLE item ADD COLUMN other integer DEFAULT item_number();
INSERT INTO item (k, n) VALUES (21, 0) RETURNING number, down, label;
DELETE FROM item WHERE k = 21;
ALTER TABLE item DROP COLUMN number, DROP COLUMN down, DROP COLUMN label;
DROP SEQUENCE item_seq;
DROP FUNCTION item_number;
SELECT * FROM differences('item');
ALTER TABLE item DROP COLUMN since, DROP COLUMN id;

-- Types, with what depends on the column.
ALTER TABLE item ALTER v TYPE varchar(20) USING upper(v) || '!';
DROP INDEX item_v;
ALTER TABLE item ALTER amount DROP DEFAULT, ALTER amount TYPE text USING amount::text || ' EUR', ALTER amount SET DEFAULT '0 EUR', ADD COLUMN later integer;
SELECT * FROM differences('item');
SELECT v, amount FROM item WHERE k = 7;
ALTER TABLE item ALTER amount TYPE integer USING split_part(amount, '.', 1)::integer;
ALTER TABLE item ALTER amount DROP DEFAULT;
ALTER TABLE item ALTER amount SET DEFAULT 3, ALTER amount TYPE integer USING split_part(amount, '.', 1)::integer;
ALTER TABLE item ALTER amount TYPE bigint USING (SELECT 1);
ALTER TABLE item ALTER amount TYPE integer USING 1 / (amount - 7);
SELECT * FROM differences('item');
SELECT sum(amount) FROM item;

-- Constraints.
CREATE TABLE kind (id integer PRIMARY KEY, name text);
INSERT INTO kind VALUES (1, 'one'), (2, 'two');
SELECT create_reference_table('kind');
ALTER TABLE kind ADD COLUMN id2 uuid DEFAULT gen_random_uuid(), ADD COLUMN number serial;
CREATE TABLE word (a text, b json);
INSERT INTO word SELECT 'it''s', NULL FROM generate_series(1, 700);
SELECT create_reference_table('word');
ALTER TABLE word ADD COLUMN id serial PRIMARY KEY, ADD COLUMN w double precision DEFAULT random() CHECK (w >= 0);
SELECT * FROM differences('word');
-- All copies are alike.
SELECT count(DISTINCT x) FROM (SELECT md5(string_agg(w::text, ',' ORDER BY id)) AS x FROM word w UNION ALL SELECT answer[1] FROM pgcluster.ask_groups(
    (SELECT format('SELECT md5(string_agg(w::text, '','' ORDER BY id)) FROM %I.word w', shard_schema) FROM cluster_shards WHERE table_name = 'word'::regclass LIMIT 1))) y;
DROP TABLE word;
ALTER TABLE kind ADD COLUMN since timestamptz DEFAULT now();
SELECT * FROM differences('kind');
ALTER TABLE item ADD COLUMN kind integer, ADD CONSTRAINT item_kind FOREIGN KEY (kind) REFERENCES kind NOT VALID;
ALTER TABLE item VALIDATE CONSTRAINT item_kind;
ALTER TABLE item ALTER CONSTRAINT item_kind DEFERRABLE INITIALLY DEFERRED;
SELECT * FROM differences('item');
BEGIN;
INSERT INTO item (k, n, kind) VALUES (100, 1, 9);
UPDATE item SET kind = 2 WHERE k = 100;
COMMIT;
BEGIN;
INSERT INTO item (k, n, kind) VALUES (101, 1, 9);
COMMIT;
ALTER TABLE item ADD CONSTRAINT positive CHECK (n >= 0) NOT VALID;
ALTER TABLE item RENAME CONSTRAINT positive TO not_negative;
ALTER TABLE item VALIDATE CONSTRAINT not_negative;
CREATE UNIQUE INDEX item_u ON item (k, n, v);
ALTER TABLE item ADD CONSTRAINT item_unique UNIQUE USING INDEX item_u;
SELECT * FROM differences('item');
ALTER TABLE item ADD CONSTRAINT alone UNIQUE (v);
ALTER TABLE item ADD CONSTRAINT excluded EXCLUDE USING btree (v WITH =);
ALTER TABLE item DROP CONSTRAINT item_unique, DROP CONSTRAINT not_negative;
SELECT * FROM differences('item');

-- Storage.
ALTER TABLE item SET (fillfactor = 90, autovacuum_enabled = off), RESET (toast.autovacuum_enabled);
ALTER TABLE item SET UNLOGGED;
SELECT * FROM differences('item');
ALTER TABLE item SET LOGGED, SET WITHOUT CLUSTER;
ALTER TABLE item REPLICA IDENTITY USING INDEX item_pkey;
ALTER INDEX item_pkey SET (fillfactor = 50);
SELECT * FROM differences('item');
ALTER TABLE item REPLICA IDENTITY DEFAULT, SET ACCESS METHOD heap, SET TABLESPACE pg_default;
ALTER INDEX item_pkey RESET (fillfactor);
ALTER INDEX item_pkey RENAME TO item_key;
ALTER STATISTICS item_stat SET STATISTICS -1;
ALTER STATISTICS item_stat RENAME TO item_statistics;
SELECT * FROM differences('item');
ALTER TABLE item ALTER n DROP IDENTITY IF EXISTS, ALTER n ADD GENERATED BY DEFAULT AS IDENTITY (START 500);
INSERT INTO item (k) VALUES (200) RETURNING n;
ALTER TABLE item ALTER n SET GENERATED ALWAYS;
ALTER TABLE item ALTER n DROP IDENTITY;
SELECT * FROM differences('item');

-- Upkeep.
CLUSTER item USING item_key;
CLUSTER item;
REINDEX TABLE item;
REINDEX INDEX item_key;
BEGIN;
LOCK TABLE item IN SHARE MODE;
SELECT count(*) FROM pg_locks WHERE relation::regclass::text ~ 'item$' AND mode = 'ShareLock' AND granted;
COMMIT;
SET client_min_messages = error;
VACUUM (FULL, ANALYZE) item;
VACUUM (FREEZE, VERBOSE off, SKIP_LOCKED, INDEX_CLEANUP on, TRUNCATE off, ANALYZE) item (v);
ANALYZE item (v, n);
RESET client_min_messages;
SELECT * FROM differences('item');

-- Concurrently.
CREATE INDEX CONCURRENTLY item_c ON item (v) WHERE n > 0;
CREATE UNIQUE INDEX CONCURRENTLY ON item (v);
CREATE UNIQUE INDEX CONCURRENTLY item_cu ON item (v, k);
SELECT * FROM differences('item');
REINDEX INDEX CONCURRENTLY item_c;
REINDEX TABLE CONCURRENTLY item;
REINDEX (VERBOSE off) SCHEMA public;
SELECT * FROM differences('item');
BEGIN;
DROP INDEX CONCURRENTLY item_c;
ROLLBACK;
DROP INDEX CONCURRENTLY item_key;
DROP INDEX CONCURRENTLY item_c;
DROP INDEX item_cu;
SELECT * FROM differences('item');
-- One shard fails: the index is invalid, and can be made or dropped.
INSERT INTO item (k, n, v) VALUES (300, 1, 'same'), (300, 2, 'same');
CREATE UNIQUE INDEX CONCURRENTLY broken ON item (k, v);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'broken'::regclass;
DELETE FROM item WHERE k = 300 AND n = 2;
REINDEX INDEX broken;
SELECT * FROM differences('item');
INSERT INTO item (k, n, v) VALUES (300, 2, 'same');
DROP INDEX broken;
SELECT * FROM differences('item');

-- Other names and schemas.
CREATE SCHEMA other;
ALTER TABLE item SET SCHEMA other;
SELECT count(*) FROM other.item;
SELECT DISTINCT regexp_replace(shard_schema, '[0-9]+', 'N') FROM cluster_shards WHERE table_name = 'other.item'::regclass;
ALTER TABLE other.item RENAME TO thing;
ALTER SCHEMA other RENAME TO another;
SELECT count(*), sum(amount) FROM another.thing;
SELECT * FROM differences('another.thing');
CREATE ROLE ddl_owner;
ALTER SCHEMA another OWNER TO ddl_owner;
SELECT DISTINCT nspowner::regrole FROM pg_namespace WHERE nspname ~ '^another';
ALTER TABLE another.thing OWNER TO ddl_owner;
GRANT SELECT (v), UPDATE ON another.thing TO PUBLIC;
SELECT * FROM differences('another.thing');
ALTER TABLE another.thing OWNER TO CURRENT_USER;
ALTER SCHEMA another OWNER TO CURRENT_USER;
REVOKE ALL ON another.thing FROM PUBLIC;
REVOKE SELECT (v) ON another.thing FROM PUBLIC;
SELECT * FROM differences('another.thing');
ALTER TABLE another.thing SET SCHEMA public;
ALTER TABLE thing RENAME TO item;

-- A constraint of the table that is referred to.
SET client_min_messages = warning;
ALTER TABLE kind DROP CONSTRAINT kind_pkey CASCADE;
RESET client_min_messages;
SELECT * FROM differences('item');
SELECT * FROM differences('kind');

-- All or nothing.
BEGIN;
ALTER TABLE item ADD COLUMN gone integer;
CREATE INDEX ON item (gone);
ALTER TABLE item RENAME TO nothing;
SELECT * FROM differences('nothing');
ROLLBACK;
SELECT * FROM differences('item');

-- Refused before anything changes.
ALTER TABLE item INHERIT kind;
CREATE TABLE heir () INHERITS (item);
ALTER TABLE item OF no_type;
CREATE RULE "_RETURN" AS ON SELECT TO kind DO INSTEAD SELECT 1 AS id, ''::text AS name;
ALTER TABLE item DROP COLUMN k;
ALTER TABLE item ALTER k TYPE text;
CREATE PUBLICATION pub FOR TABLE item;
SET client_min_messages = error;
CREATE PUBLICATION pub FOR TABLE kind;
RESET client_min_messages;
ALTER PUBLICATION pub ADD TABLE item;
DROP PUBLICATION pub;
SELECT * FROM differences('item');
DROP TABLE item, kind;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '_[0-9]{6,}$';
DROP SCHEMA another;
DROP ROLE ddl_owner;
DROP FUNCTION differences, describe_query;
DROP EXTENSION pgcluster;
