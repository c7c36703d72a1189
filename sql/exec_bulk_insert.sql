-- Rows of a query that a node writes many at a time: as the server does one
-- by one, or not at all.
CREATE EXTENSION IF NOT EXISTS pgcluster;
\set SHOW_CONTEXT never
CREATE SCHEMA bulk_insert;
SET search_path = bulk_insert;
CREATE ROLE regress_bulk_insert;
CREATE TABLE source (id integer PRIMARY KEY, v integer, name text);
INSERT INTO source SELECT g, g % 100, 'name ' || g FROM generate_series(1, 3000) g;

-- Runs a statement as a client's session and as another node's, each with the
-- table as it was; says how the latter wrote, and whether both came to the same.
CREATE FUNCTION compare(target text, statement text, OUT way text, OUT result text) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    results text[] := '{}';
    changed bigint;
    session text;
BEGIN
    way := 'by row';
    FOREACH session IN ARRAY ARRAY['client', 'pgcluster_0_0_node'] LOOP
        PERFORM set_config('application_name', session, true);
        BEGIN
            ALTER SEQUENCE numbers RESTART;
            FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
                IF line ~ 'Bulk Insert' AND session = 'client' THEN
                    RAISE 'a client has no such plan';
                ELSIF line ~ 'Bulk Insert' THEN
                    way := 'bulk';
                END IF;
            END LOOP;
            EXECUTE statement;
            GET DIAGNOSTICS changed = ROW_COUNT;
            SET CONSTRAINTS ALL IMMEDIATE;
            EXECUTE format('SELECT count(*) || '' rows '' || COALESCE(md5(string_agg(t::text, '','' ORDER BY t::text)), '''') FROM %s t', target) INTO line;
            results := results || (changed || ' written, ' || line);
            RAISE USING ERRCODE = 'ZZ001';
        EXCEPTION
            WHEN SQLSTATE 'ZZ001' THEN NULL;
            WHEN OTHERS THEN results := results || (SQLSTATE || ': ' || SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('application_name', 'client', true);
    result := CASE WHEN results[1] = results[2] THEN 'same: ' || regexp_replace(results[2], ' [0-9a-f]{32}$', '') ELSE results::text END;
END $$;
CREATE SEQUENCE numbers;

CREATE TABLE t (id integer PRIMARY KEY, gone text, v integer DEFAULT 7, name text NOT NULL, twice integer GENERATED ALWAYS AS (v * 2) STORED,
    number bigint DEFAULT nextval('numbers'), at timestamptz DEFAULT now(), relation oid DEFAULT 0, CONSTRAINT small CHECK (v < 1000 AND tableoid::regclass = 'bulk_insert.t'::regclass));
ALTER TABLE t DROP COLUMN gone;
CREATE INDEX ON t (lower(name)) WHERE v > 50;
CREATE INDEX ON t USING gin (to_tsvector('simple', name));
SELECT * FROM compare('t', 'INSERT INTO t SELECT id, v, name FROM source');
SELECT * FROM compare('t', 'INSERT INTO t (name, id) SELECT name, id FROM source WHERE v < 10');
SELECT * FROM compare('t', 'INSERT INTO t (name, id) SELECT name, id FROM source WHERE v < 0');
SELECT * FROM compare('t', 'INSERT INTO t (name, id) SELECT name, id FROM source ORDER BY name LIMIT 1001');
SELECT * FROM compare('t', 'INSERT INTO t (id, name) SELECT v, string_agg(name, '','' ORDER BY id) FROM source GROUP BY v');
SELECT * FROM compare('t', 'INSERT INTO t (id, name) VALUES (1, ''a''), (2, ''b'')');
SELECT * FROM compare('t', 'WITH s AS MATERIALIZED (SELECT * FROM source) INSERT INTO t (id, name) SELECT a.id, b.name FROM s a JOIN s b ON a.id = b.id + 1');
SELECT * FROM compare('t', 'INSERT INTO t (id, name) SELECT id, name FROM source FOR UPDATE');
-- the SELECT sees none of the rows
INSERT INTO t SELECT id, v, name FROM source;
SELECT * FROM compare('t', 'INSERT INTO t SELECT id + 3000, v, name FROM t');
SELECT * FROM compare('t', 'INSERT INTO t SELECT id + (SELECT count(*) FROM t), v, name FROM t WHERE id > 5');
-- errors leave nothing
SELECT * FROM compare('t', 'INSERT INTO t SELECT id + 2999, v, name FROM source ORDER BY id DESC');
SELECT * FROM compare('t', 'INSERT INTO t SELECT 5000 + v, v, name FROM source');
SELECT * FROM compare('t', 'INSERT INTO t SELECT id + 3000, v, nullif(name, ''name 2500'') FROM source');
SELECT * FROM compare('t', 'INSERT INTO t SELECT id + 3000, id, name FROM source ORDER BY id');
SELECT * FROM compare('t', 'INSERT INTO t SELECT id + 3000, v / (2000 - id), name FROM source ORDER BY id');
SELECT count(*), max(id) FROM t;

-- foreign keys, and constraints that are checked later
CREATE TABLE tied (id integer UNIQUE DEFERRABLE INITIALLY DEFERRED, source integer REFERENCES source, other int4range, EXCLUDE USING gist (other WITH &&));
SELECT * FROM compare('tied', 'INSERT INTO tied SELECT id, id, int4range(id, id + 1) FROM source');
SELECT * FROM compare('tied', 'INSERT INTO tied SELECT id, id + 1, int4range(id, id + 1) FROM source');
SELECT * FROM compare('tied', 'INSERT INTO tied SELECT v, id FROM source');
SELECT * FROM compare('tied', 'INSERT INTO tied SELECT id, id, int4range(id, id + 2) FROM source ORDER BY id');

-- long values, of this statement and of another table
CREATE TABLE long (id integer, value text, kept text);
ALTER TABLE long ALTER kept SET STORAGE EXTERNAL;
INSERT INTO long SELECT id, repeat(name, 2000), repeat(name, 500) FROM source WHERE id <= 20;
CREATE TABLE longer (LIKE long INCLUDING ALL);
SELECT * FROM compare('longer', 'INSERT INTO longer SELECT id, value, kept FROM long');
SELECT * FROM compare('longer', 'INSERT INTO longer SELECT s.id, value || s.name, kept FROM long, source s WHERE s.id <= 30');

-- partitions, inheritance and the like
CREATE TABLE parts (id integer, v integer) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (2000);
CREATE TABLE high PARTITION OF parts FOR VALUES FROM (2000) TO (9000);
CREATE TABLE child () INHERITS (t);
CREATE UNLOGGED TABLE unlogged (id integer);
CREATE TEMP TABLE temporary (id integer);
SELECT * FROM compare('parts', 'INSERT INTO parts SELECT id, v FROM source');
SELECT * FROM compare('low', 'INSERT INTO low SELECT id, v FROM source WHERE id < 1500');
SELECT * FROM compare('low', 'INSERT INTO low SELECT id, v FROM source');
SELECT * FROM compare('unlogged', 'INSERT INTO unlogged SELECT id FROM source');
SELECT * FROM compare('temporary', 'INSERT INTO temporary SELECT id FROM source');

-- what could tell the difference
CREATE TABLE watched (id integer, seen bigint);
CREATE FUNCTION seen() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT count(*) FROM bulk_insert.watched';
CREATE FUNCTION seen_before() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM bulk_insert.watched';
SELECT * FROM compare('watched', 'INSERT INTO watched SELECT id, seen() FROM source WHERE id <= 100');
SELECT * FROM compare('watched', 'INSERT INTO watched SELECT id, seen_before() FROM source WHERE id <= 100');
SELECT * FROM compare('watched', 'INSERT INTO watched SELECT id, 0 FROM source WHERE id <= 100 AND seen() < 50');
ALTER TABLE watched ALTER seen SET DEFAULT seen();
SELECT * FROM compare('watched', 'INSERT INTO watched SELECT id FROM source WHERE id <= 100');
ALTER TABLE watched ALTER seen DROP DEFAULT, ADD CONSTRAINT few CHECK (seen() < 50);
SELECT * FROM compare('watched', 'INSERT INTO watched SELECT id FROM source WHERE id <= 100');
ALTER TABLE watched DROP CONSTRAINT few;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        INSERT INTO bulk_insert.unlogged SELECT count(*) FROM bulk_insert.watched;
        RETURN NULL;
    END IF;
    NEW.seen := bulk_insert.seen();
    RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION note();
SELECT * FROM compare('watched', 'INSERT INTO watched SELECT id FROM source WHERE id <= 100');
DROP TRIGGER note ON watched;
CREATE TRIGGER note AFTER INSERT ON watched FOR EACH ROW WHEN (NEW.seen IS NULL) EXECUTE FUNCTION note();
SELECT * FROM compare('watched', 'INSERT INTO watched SELECT id FROM source WHERE id <= 100');
DROP TRIGGER note ON watched;
CREATE TRIGGER note AFTER INSERT ON watched FOR EACH STATEMENT EXECUTE FUNCTION note();
SELECT * FROM compare('unlogged', 'INSERT INTO watched SELECT id FROM source WHERE id <= 100');
DROP TRIGGER note ON watched;
CREATE TRIGGER note AFTER INSERT ON watched REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION note();
SELECT * FROM compare('unlogged', 'INSERT INTO watched SELECT id FROM source WHERE id <= 100');
DROP TRIGGER note ON watched;
CREATE TRIGGER note BEFORE UPDATE OR DELETE ON watched FOR EACH ROW EXECUTE FUNCTION note();
SELECT * FROM compare('watched', 'INSERT INTO watched SELECT id FROM source WHERE id <= 100');
DROP TRIGGER note ON watched;
CREATE RULE also AS ON INSERT TO watched DO ALSO INSERT INTO unlogged VALUES (NEW.id);
SELECT * FROM compare('unlogged', 'INSERT INTO watched SELECT id FROM source WHERE id <= 100');
DROP RULE also ON watched;

-- what is asked for beside
SELECT * FROM compare('t', 'INSERT INTO t SELECT id + 2000, v, name FROM source ON CONFLICT DO NOTHING');
SELECT * FROM compare('t', 'INSERT INTO t SELECT id + 3000, v, name FROM source RETURNING id');
SELECT * FROM compare('t', 'WITH w AS (INSERT INTO watched SELECT id FROM source RETURNING id) INSERT INTO t (id, name) SELECT id + 3000, ''w'' FROM w');
CREATE VIEW young AS SELECT id, v FROM low WHERE id < 1500 WITH CHECK OPTION;
CREATE VIEW younger AS SELECT id, v FROM low;
SELECT * FROM compare('low', 'INSERT INTO young SELECT id, v FROM source WHERE id < 1400');
SELECT * FROM compare('low', 'INSERT INTO young SELECT id, v FROM source WHERE id < 1600');
SELECT * FROM compare('low', 'INSERT INTO younger SELECT id, v FROM source WHERE id < 1600');

-- privileges and policies
GRANT USAGE ON SCHEMA bulk_insert TO regress_bulk_insert;
GRANT SELECT ON source TO regress_bulk_insert;
GRANT SELECT, INSERT (id) ON watched TO regress_bulk_insert;
ALTER SEQUENCE numbers OWNER TO regress_bulk_insert;
SET ROLE regress_bulk_insert;
SELECT * FROM compare('watched', 'INSERT INTO watched (id) SELECT id FROM source');
SELECT * FROM compare('watched', 'INSERT INTO watched (id, seen) SELECT id, v FROM source');
SELECT * FROM compare('watched', 'INSERT INTO watched (id) SELECT id FROM t');
RESET ROLE;
ALTER TABLE watched ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON watched WITH CHECK (id < 1000);
SET ROLE regress_bulk_insert;
SELECT * FROM compare('watched', 'INSERT INTO watched (id) SELECT id FROM source WHERE id < 900');
SELECT * FROM compare('watched', 'INSERT INTO watched (id) SELECT id FROM source');
RESET ROLE;
ALTER TABLE watched DISABLE ROW LEVEL SECURITY;

-- a plan that is kept; an error, and then the rest of the transaction
SET application_name = 'pgcluster_0_0_node';
SET plan_cache_mode = force_generic_plan;
PREPARE kept (integer) AS INSERT INTO watched SELECT id, v FROM source WHERE id <= $1;
BEGIN;
EXECUTE kept (1500);
EXECUTE kept (0);
SAVEPOINT s;
INSERT INTO t SELECT id, v, name FROM source;
ROLLBACK TO s;
EXECUTE kept (10);
ALTER TABLE watched ADD note text DEFAULT 'new';
EXECUTE kept (10);
CREATE TRIGGER note BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION note();
EXECUTE kept (10);
SELECT note, count(*), count(DISTINCT seen) FROM watched GROUP BY note ORDER BY note;
ROLLBACK;
EXPLAIN (COSTS OFF) EXECUTE kept (20);
RESET application_name;
RESET plan_cache_mode;

-- shards
CREATE TABLE spread (id integer PRIMARY KEY, v integer, name text);
CREATE TABLE taken (LIKE source INCLUDING ALL);
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
SELECT create_distributed_table('spread', 'id', shard_count => 4);
SELECT create_distributed_table('taken', 'id', colocate_with => 'spread');
INSERT INTO spread SELECT * FROM source;
INSERT INTO taken SELECT * FROM spread;
SELECT count(*), sum(v), count(DISTINCT name) FROM taken;
INSERT INTO taken SELECT * FROM spread;
SELECT count(*) FROM taken;

SET client_min_messages = warning;
DROP SCHEMA bulk_insert CASCADE;
DROP ROLE regress_bulk_insert;
DROP EXTENSION pgcluster;
