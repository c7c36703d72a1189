-- What of a join on other columns than tables are split by runs where.
CREATE EXTENSION IF NOT EXISTS pgcluster;
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
CREATE SCHEMA exchanged;
SET search_path = exchanged;
CREATE TABLE big (id integer PRIMARY KEY, v integer, filler text);
CREATE TABLE small (id integer PRIMARY KEY, w integer, name text, list integer[]);
CREATE TABLE here (v integer, name text COLLATE "C");
SELECT create_distributed_table('big', 'id', shard_count => 4);
SELECT create_distributed_table('small', 'id', colocate_with => 'none', shard_count => 2);
INSERT INTO big SELECT g, g % 100, repeat('x', 50) FROM generate_series(1, 5000) g;
INSERT INTO small SELECT g, g, 'name ' || g, ARRAY[g] FROM generate_series(1, 20) g;
INSERT INTO here VALUES (1, 'one'), (2, 'two');
ANALYZE big, small, here;

-- Only what tells the ways apart.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/plan_of.sql'
\set ECHO none
\i :helpers
\set ECHO all
CREATE FUNCTION ways_of(query text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT trim(line) FROM plan_of(query) line WHERE line ~ '^ *(CTE shipped [0-9]+ |Tier|Tasks|Not Shipped)|UNNEST|unnest' $$;

SELECT ways_of('SELECT count(*), sum(b.v) FROM big b JOIN small s ON s.w = b.v');
SELECT ways_of('SELECT b.id, h.name FROM big b LEFT JOIN here h USING (v)');
SELECT ways_of('SELECT count(*) FROM big WHERE v IN (SELECT w FROM small WHERE name > ''name 3'')');
SELECT ways_of('SELECT h.name, count(*) FROM big b JOIN here h ON b.filler > h.name GROUP BY h.name');
-- each row to its shard, and to no other
SELECT ways_of('SELECT count(*), sum(b.v) FROM big b JOIN small s ON s.w = b.id');
SELECT ways_of('SELECT s.id, b.v FROM small s LEFT JOIN big b ON s.w = b.id');
SELECT ways_of('SELECT count(*) FROM big WHERE id IN (SELECT w FROM small)');
SELECT count(*), sum(b.v) FROM big b JOIN small s ON s.w = b.id;
CREATE FUNCTION pruned(query text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT trim(line) FROM plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', query) line WHERE line ~ 'Tasks' $$;
SELECT pruned('SELECT b.v FROM big b JOIN here h ON h.v = b.id WHERE h.v = 1');
SET pgcluster.max_exchanged_size = 0;
SELECT ways_of('SELECT count(*), sum(b.v) FROM big b JOIN small s ON s.w = b.id');
RESET pgcluster.max_exchanged_size;
-- kept rows would be kept by each shard
SELECT ways_of('SELECT count(*) FROM small s LEFT JOIN big b ON s.w = b.v');
-- an array of arrays is one array
SELECT ways_of('SELECT count(*), max(s.list) FROM big b JOIN small s ON s.w = b.v');
-- more comes of it than went in
SELECT ways_of('SELECT b.id, s.id FROM big b, small s');
SET pgcluster.max_shipped_size = '1kB';
SELECT ways_of('SELECT count(*) FROM big b JOIN (SELECT v FROM big WHERE id <= 200) s ON s.v = b.v');
RESET pgcluster.max_shipped_size;
SET pgcluster.join_strategy = pull;
SELECT ways_of('SELECT count(*), sum(b.v) FROM big b JOIN small s ON s.w = b.v');
RESET pgcluster.join_strategy;

-- Nobody makes arrays up.
DO $$BEGIN PERFORM pgcluster.shipped('x', 0, NULL::integer[]); EXCEPTION WHEN undefined_function OR feature_not_supported THEN RAISE NOTICE 'refused'; END$$;
DO $$BEGIN PERFORM pgcluster.ship(NULL, 1); EXCEPTION WHEN undefined_function OR feature_not_supported THEN RAISE NOTICE 'refused'; END$$;
\set VERBOSITY terse
DROP SCHEMA exchanged CASCADE;
DROP EXTENSION pgcluster;
