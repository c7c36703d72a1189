-- Every subcommand of ALTER TABLE, and every kind of statement that names a
-- table: it works, and shards are as their table afterwards, or it is refused
-- with a reason.
\getenv abs_srcdir PG_ABS_SRCDIR
\set begin :abs_srcdir '/test/ddl_begin.sql'
\i :begin
\set ECHO none
-- What comes of a statement; the tables that it names are compared.
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    differs text;
    why text;
    reason text;
BEGIN
    EXECUTE statement;
    SELECT string_agg(format('%s: %s', t, d), '; ') INTO differs FROM (SELECT table_name AS t FROM cluster_tables
        WHERE statement ~ CASE table_name::text WHEN 'typed' THEN 'typed|row_type' ELSE '\m' || table_name || '(_\d)?\M' END) x, differences(t) d;
    RETURN coalesce('DIFFERS: ' || differs, 'works');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS why = MESSAGE_TEXT, reason = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(E'\n', nullif(SQLSTATE, '0A000'), why, nullif(reason, ''));
END $$;
\set ECHO all
SET client_min_messages = error;
CREATE ROLE ddl_other;
CREATE TYPE row_type AS (k integer, v text);
CREATE TABLE kind (id integer PRIMARY KEY, name text);
SELECT create_reference_table('kind');
CREATE TABLE plain (k integer NOT NULL, v text);
CREATE TABLE item (k integer PRIMARY KEY, v text, n integer DEFAULT 3, g integer GENERATED ALWAYS AS (n * 2) STORED, kind integer);
SELECT create_distributed_table('item', 'k', shard_count => 2);
INSERT INTO item SELECT i, 'v' || i, i FROM generate_series(1, 10) i;
INSERT INTO kind SELECT i FROM generate_series(1, 3) i;
CREATE TABLE typed OF row_type;
SELECT create_distributed_table('typed', 'k', colocate_with => 'item');
CREATE TABLE part (k integer, d integer) PARTITION BY LIST (d);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
SELECT create_distributed_table('part', 'k', colocate_with => 'item');
CREATE TABLE part_2 (k integer, d integer);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER far FOREIGN DATA WRAPPER nothing;

CREATE TABLE statement (id serial, text text);
COPY statement (text) FROM stdin;
ALTER TABLE item ADD COLUMN a integer DEFAULT 7 NOT NULL CHECK (a > 0)
ALTER TABLE item ADD COLUMN IF NOT EXISTS a integer
ALTER TABLE item ADD COLUMN s serial
ALTER TABLE item ADD COLUMN r integer REFERENCES kind
ALTER TABLE item ALTER a SET DEFAULT 8
ALTER TABLE item ALTER a DROP DEFAULT
ALTER TABLE item ALTER a DROP NOT NULL
ALTER TABLE item ALTER a SET NOT NULL
ALTER TABLE item ALTER g DROP EXPRESSION
ALTER TABLE item ALTER v SET STATISTICS 77
ALTER TABLE item ALTER v SET (n_distinct = 5)
ALTER TABLE item ALTER v RESET (n_distinct)
ALTER TABLE item ALTER v SET STORAGE EXTERNAL
ALTER TABLE item ALTER v SET COMPRESSION pglz
ALTER TABLE item DROP COLUMN s
ALTER TABLE item DROP COLUMN IF EXISTS nothing
ALTER TABLE item ADD CONSTRAINT c CHECK (n > 0) NOT VALID
ALTER TABLE item VALIDATE CONSTRAINT c
ALTER TABLE item ADD CONSTRAINT u UNIQUE (k, v)
ALTER TABLE item ADD CONSTRAINT x UNIQUE (v)
ALTER TABLE item ADD CONSTRAINT f FOREIGN KEY (kind) REFERENCES kind
ALTER TABLE item ALTER CONSTRAINT f DEFERRABLE
ALTER TABLE item DROP CONSTRAINT c
CREATE UNIQUE INDEX item_kv ON item (k, n)
ALTER TABLE item ADD CONSTRAINT kv UNIQUE USING INDEX item_kv
ALTER TABLE item ALTER a TYPE bigint USING a + 1
ALTER TABLE item OWNER TO ddl_other
ALTER TABLE item OWNER TO CURRENT_USER
ALTER TABLE item CLUSTER ON item_pkey
ALTER TABLE item SET WITHOUT CLUSTER
ALTER TABLE item SET UNLOGGED
ALTER TABLE item SET LOGGED
ALTER TABLE item SET WITHOUT OIDS
ALTER TABLE item ADD CHECK (tableoid > 0)
ALTER TABLE item ADD COLUMN o oid GENERATED ALWAYS AS (tableoid) STORED
ALTER TABLE item ALTER v TYPE text USING tableoid::text
CREATE POLICY o ON item USING (tableoid > 0)
CREATE TRIGGER o AFTER UPDATE ON item FOR EACH ROW WHEN (NEW.tableoid > 0) EXECUTE FUNCTION fire()
ALTER TABLE IF EXISTS missing INHERIT item
ALTER TABLE item SET ACCESS METHOD heap
ALTER TABLE item SET TABLESPACE pg_default
ALTER TABLE item SET (fillfactor = 70)
ALTER TABLE item RESET (fillfactor)
CREATE TRIGGER fire BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION fire()
ALTER TABLE item DISABLE TRIGGER fire
ALTER TABLE item ENABLE REPLICA TRIGGER fire
ALTER TABLE item ENABLE ALWAYS TRIGGER fire
ALTER TABLE item DISABLE TRIGGER ALL
ALTER TABLE item ENABLE TRIGGER ALL
ALTER TABLE item DISABLE TRIGGER USER
ALTER TABLE item ENABLE TRIGGER USER
CREATE RULE nothing AS ON DELETE TO item DO ALSO NOTHING
ALTER TABLE item DISABLE RULE nothing
ALTER TABLE item ENABLE REPLICA RULE nothing
ALTER TABLE item ENABLE ALWAYS RULE nothing
ALTER TABLE item ENABLE RULE nothing
ALTER TABLE item ENABLE ROW LEVEL SECURITY
ALTER TABLE item FORCE ROW LEVEL SECURITY
ALTER TABLE item NO FORCE ROW LEVEL SECURITY
ALTER TABLE item DISABLE ROW LEVEL SECURITY
ALTER TABLE item REPLICA IDENTITY FULL
ALTER TABLE item REPLICA IDENTITY USING INDEX item_pkey
ALTER TABLE item REPLICA IDENTITY NOTHING
ALTER TABLE item REPLICA IDENTITY DEFAULT
ALTER TABLE item ALTER n SET NOT NULL, ALTER n DROP DEFAULT, ALTER n ADD GENERATED ALWAYS AS IDENTITY
ALTER TABLE item ALTER n SET GENERATED BY DEFAULT SET START 5 RESTART
ALTER TABLE item ALTER n DROP IDENTITY
ALTER TABLE item INHERIT kind
ALTER TABLE plain INHERIT item
ALTER TABLE item NO INHERIT plain
CREATE TABLE heir () INHERITS (item)
ALTER TABLE typed NOT OF
ALTER TABLE typed OF row_type
ALTER TYPE row_type ADD ATTRIBUTE extra integer CASCADE
ALTER TYPE row_type RENAME ATTRIBUTE v TO w CASCADE
ALTER TYPE row_type ALTER ATTRIBUTE extra TYPE bigint CASCADE
ALTER TYPE row_type DROP ATTRIBUTE extra CASCADE
CREATE TABLE typed_too OF row_type (PRIMARY KEY (k))
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES IN (2)
ALTER TABLE part DETACH PARTITION part_2
CREATE TABLE part_3 PARTITION OF part FOR VALUES IN (3)
CREATE FOREIGN TABLE part_4 PARTITION OF part FOR VALUES IN (4) SERVER far
CREATE FOREIGN TABLE foreign_item () INHERITS (item) SERVER far
ALTER TABLE item OPTIONS (a 'b')
ALTER TABLE item ALTER v OPTIONS (a 'b')
ALTER TABLE item RENAME TO thing
ALTER TABLE thing RENAME TO item
ALTER TABLE item RENAME v TO w
ALTER TABLE item RENAME CONSTRAINT u TO uw
ALTER TRIGGER fire ON item RENAME TO fires
ALTER TRIGGER fires ON item DEPENDS ON EXTENSION plpgsql
ALTER RULE nothing ON item RENAME TO still_nothing
CREATE INDEX item_w ON item (w)
ALTER INDEX item_w RENAME TO item_v
ALTER INDEX item_v SET (fillfactor = 50)
ALTER INDEX item_v SET TABLESPACE pg_default
CREATE INDEX item_x ON item ((n + 1))
ALTER INDEX item_x ALTER COLUMN 1 SET STATISTICS 5
ALTER INDEX item_v DEPENDS ON EXTENSION plpgsql
CREATE INDEX part_d ON ONLY part (d)
CREATE INDEX part_1_d ON part_1 (d)
ALTER INDEX part_d ATTACH PARTITION part_1_d
CREATE POLICY p ON item USING (k > 0)
ALTER POLICY p ON item USING (k > 1)
ALTER POLICY p ON item RENAME TO q
DROP POLICY q ON item
CREATE STATISTICS st ON w, n FROM item
ALTER STATISTICS st SET STATISTICS 9
ALTER STATISTICS st OWNER TO ddl_other
COMMENT ON TABLE item IS 'things'
COMMENT ON COLUMN item.k IS 'their key'
COMMENT ON CONSTRAINT item_pkey ON item IS 'their key'
COMMENT ON INDEX item_v IS 'their values'
COMMENT ON TRIGGER fires ON item IS 'nothing'
GRANT SELECT (k), UPDATE ON item TO ddl_other
REVOKE ALL ON item FROM ddl_other
CREATE TABLE likeness (LIKE item INCLUDING ALL)
CREATE TABLE copied AS SELECT * FROM item WITH NO DATA
CREATE MATERIALIZED VIEW seen AS SELECT k, w FROM item
REFRESH MATERIALIZED VIEW seen
CREATE VIEW looked AS SELECT * FROM item
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO item DO INSTEAD SELECT 1 AS k
CREATE SEQUENCE seq OWNED BY item.n
ALTER SEQUENCE seq OWNED BY NONE
CREATE PUBLICATION pub FOR TABLE item
CREATE PUBLICATION pub FOR TABLE kind
LOCK TABLE item IN SHARE MODE
TRUNCATE item, kind
ANALYZE item
REINDEX TABLE item
CLUSTER item USING item_pkey
CREATE SCHEMA elsewhere
ALTER TABLE item SET SCHEMA elsewhere
ALTER TABLE elsewhere.item SET SCHEMA public
ALTER TABLE ALL IN TABLESPACE pg_default OWNED BY ddl_other SET TABLESPACE pg_default
DROP INDEX item_v
DROP TRIGGER fires ON item
DROP RULE still_nothing ON item
DROP STATISTICS st
DROP TABLE plain, part, part_2
\.
CREATE TABLE result (id integer, outcome text);
\set ECHO none
\o /dev/null
SELECT format('INSERT INTO result VALUES (%s, outcome(%L))', id, text) FROM statement ORDER BY id
\gexec
\o
\set ECHO all
SELECT text AS statement, outcome FROM statement JOIN result USING (id) ORDER BY id;
DROP TABLE item, kind, typed, likeness, copied, typed_too, statement, result CASCADE;
DROP FUNCTION fire CASCADE;
DROP TYPE row_type;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
DROP SCHEMA elsewhere;
DROP SEQUENCE seq;
DROP PUBLICATION pub;
DROP ROLE ddl_other;
DROP FUNCTION outcome, differences, describe_query;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '_[0-9]{6,}$';
DROP EXTENSION pgcluster;
