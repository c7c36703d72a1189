-- How the rows of INSERT ... SELECT reach their shards.
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS pgcluster;
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
CREATE SCHEMA exchange_insert;
SET search_path = exchange_insert;
CREATE TABLE source (id integer PRIMARY KEY, v integer, name text);
CREATE TABLE by_v (v integer, id integer, name text DEFAULT 'none', twice integer GENERATED ALWAYS AS (v * 2) STORED, PRIMARY KEY (v, id));
CREATE TABLE by_name (name text PRIMARY KEY, n bigint);
CREATE TABLE alike (LIKE source INCLUDING ALL);
SELECT create_distributed_table('source', 'id', shard_count => 4);
SELECT create_distributed_table('alike', 'id', colocate_with => 'source');
SELECT create_distributed_table('by_v', 'v', shard_count => 3, colocate_with => 'none');
SELECT create_distributed_table('by_name', 'name', shard_count => 3, colocate_with => 'none');
INSERT INTO source SELECT g, g % 100, 'name ' || g FROM generate_series(1, 2000) g;
ANALYZE source;

\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/plan_of.sql'
\set ECHO none
\i :helpers
\set ECHO all
CREATE FUNCTION ways_of(query text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT trim(line) FROM plan_of(query) line WHERE line ~ '^  (Tier|Tasks|Copied|Not Exchanged)' $$;

-- by cost
SELECT ways_of('INSERT INTO alike SELECT * FROM source');
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source');
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source WHERE id = 5');
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source WHERE id < 20');
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source ON CONFLICT DO NOTHING');
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source RETURNING twice');
SELECT ways_of('INSERT INTO by_name SELECT ''v '' || s.id, count(*) FROM source s JOIN alike a USING (id) GROUP BY s.id');
-- only here
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source ORDER BY v LIMIT 1000');
SELECT ways_of('INSERT INTO by_name SELECT name, count(*) FROM source GROUP BY name');
SELECT ways_of('INSERT INTO by_v SELECT (random() * 1000)::integer, id FROM source');
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source RETURNING (SELECT max(id) FROM source)');
-- hashed by a function for another type
CREATE TABLE by_time (at timestamptz, id integer);
SELECT create_distributed_table('by_time', 'at', colocate_with => 'none', shard_count => 2);
-- servers before 18 have no function that hashes this type
SELECT (line ~ 'Not every node can hash values') = (current_setting('server_version_num')::integer < 180000) AS fits
FROM ways_of('INSERT INTO by_time SELECT timestamptz ''2024-01-01Z'' + id * interval ''1 h'', id FROM source') line WHERE line ~ 'Exchanged|Copied';
CREATE TEMP SEQUENCE numbers;
SELECT ways_of('INSERT INTO by_v SELECT nextval(''numbers''), id FROM source');
-- as told
SET pgcluster.insert_strategy = exchange;
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source WHERE id < 20');
SET pgcluster.insert_strategy = pull;
SELECT ways_of('INSERT INTO by_v SELECT v, id FROM source');
SELECT ways_of('INSERT INTO alike SELECT * FROM source');
RESET pgcluster.insert_strategy;
EXPLAIN (COSTS OFF) INSERT INTO by_v (v, id) SELECT v + 1, id FROM source WHERE v < 50;

-- the rows
INSERT INTO by_v (v, id) SELECT v, id FROM source;
SELECT count(*), sum(v), sum(id), sum(twice), min(name) FROM by_v;
INSERT INTO by_v SELECT v, id, name FROM source;
INSERT INTO by_v SELECT v, id FROM source ON CONFLICT (v, id) DO UPDATE SET name = by_v.name || excluded.id WHERE by_v.v = 7;
SELECT count(*), min(name) FROM by_v WHERE name <> 'none';
INSERT INTO by_v SELECT NULL, id FROM source;
-- spilt
SET work_mem = '64kB';
TRUNCATE by_v;
INSERT INTO by_v SELECT s.v, s.id * 10 + g, repeat('x', 100) FROM source s, generate_series(0, 9) g;
SELECT count(*), sum(id), sum(length(name)) FROM by_v;
RESET work_mem;

-- triggers of the shards
CREATE FUNCTION marks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.name := 'marked ' || NEW.id; RETURN CASE WHEN NEW.id % 2 = 0 THEN NEW END; END$$;
CREATE TRIGGER marks BEFORE INSERT ON by_v FOR EACH ROW EXECUTE FUNCTION marks();
TRUNCATE by_v;
INSERT INTO by_v SELECT v, id, name FROM source;
SELECT count(*), min(name), max(name) FROM by_v;
INSERT INTO by_v SELECT v, id + 1, name FROM source WHERE id % 2 = 1 ON CONFLICT DO NOTHING;
DROP TRIGGER marks ON by_v;

-- policies, and rights to a column only
CREATE ROLE exchange_writer;
GRANT USAGE ON SCHEMA exchange_insert TO exchange_writer;
GRANT SELECT ON source TO exchange_writer;
GRANT INSERT (v, id, name) ON by_v TO exchange_writer;
SET ROLE exchange_writer;
INSERT INTO by_v (v, id) SELECT v, id + 10000 FROM source;
RESET ROLE;
REVOKE INSERT (name) ON by_v FROM exchange_writer;
SET ROLE exchange_writer;
INSERT INTO by_v (v, id, name) SELECT v, id + 20000, name FROM source;
RESET ROLE;
GRANT INSERT ON by_v TO exchange_writer;
ALTER TABLE by_v ENABLE ROW LEVEL SECURITY;
CREATE POLICY below ON by_v FOR INSERT TO exchange_writer WITH CHECK (v < 100);
SET ROLE exchange_writer;
SELECT ways_of('INSERT INTO by_v (v, id) SELECT v, id + 30000 FROM source');
INSERT INTO by_v (v, id) SELECT v, id + 30000 FROM source;
INSERT INTO by_v (v, id) SELECT v + 1, id + 40000 FROM source;
RESET ROLE;
SELECT count(*) FROM by_v;

-- what a node keeps is the transaction's
SELECT pgcluster.exchange_begin(7, 2);
SELECT pgcluster.exchange_put(7, 0, '', 0);
BEGIN;
SELECT pgcluster.exchange_begin(7, 2);
SELECT pgcluster.exchange_put(7, 1, '\x0000000a00010000000400000009', 1);
SELECT * FROM pgcluster.rows('\xffff000000070000000101') AS r(a integer);
SELECT * FROM pgcluster.rows('\xffff000000070000000001') AS r(a integer);
SAVEPOINT s;
SELECT pgcluster.exchange_put(7, 2, '\x00', 1);
ROLLBACK TO s;
SELECT pgcluster.exchange_put(7, 0, '\x00000fff0001', 1);
SELECT * FROM pgcluster.rows('\xffff000000070000000001') AS r(a integer);
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT pgcluster.exchange_begin(7, 2);
ROLLBACK TO s;
SELECT pgcluster.exchange_put(7, 0, '', 0);
ROLLBACK;

SET client_min_messages = warning;
DROP TABLE source, alike, by_v, by_name, by_time;
DROP SCHEMA exchange_insert CASCADE;
DROP ROLE exchange_writer;
DROP EXTENSION pgcluster;
