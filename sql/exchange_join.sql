-- Joins whose rows nodes exchange.
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS pgcluster;
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
CREATE SCHEMA exchange_join;
SET search_path = exchange_join;
CREATE TABLE one (id integer PRIMARY KEY, v integer, name text, at date);
CREATE TABLE two (id bigint PRIMARY KEY, w bigint, name varchar(20), list integer[]);
SELECT create_distributed_table('one', 'id', shard_count => 4);
SELECT create_distributed_table('two', 'id', colocate_with => 'none', shard_count => 3);
INSERT INTO one SELECT g, CASE WHEN g % 10 > 0 THEN g % 500 END, 'name ' || g % 70, date '2024-01-01' + g % 50 FROM generate_series(1, 1000) g;
INSERT INTO two SELECT g, nullif(g % 300, 7), 'name ' || g, ARRAY[g, NULL] FROM generate_series(1, 1000) g;
ANALYZE one, two;
CREATE TABLE plain_one AS SELECT * FROM one;
CREATE TABLE plain_two AS SELECT * FROM two;

-- The same rows as of local tables, and what tells the ways apart.
CREATE FUNCTION compare(query text, OUT way text, OUT rows bigint, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plain text := regexp_replace(query, '\m(one|two)\M', 'plain_\1', 'g');
BEGIN
    way := 'pulled';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        way := CASE WHEN line ~ '^ *Exchanged' THEN 'exchanged' WHEN line ~ 'UNNEST' THEN 'shipped' ELSE way END;
    END LOOP;
    EXECUTE format('SELECT count(*) FROM (%s) q', query) INTO rows;
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM (SELECT count(*), q::text FROM (%s) q GROUP BY 2) a FULL JOIN (SELECT count(*), q::text FROM (%s) q GROUP BY 2) b USING (count, q) WHERE a IS NULL OR b IS NULL)', query, plain) INTO same;
END $$;

SELECT (compare('SELECT o.id, t.id AS tid FROM one o JOIN two t ON o.v = t.w')).*;
SET pgcluster.join_strategy = exchange;
SELECT (compare('SELECT o.id, t.id AS tid FROM one o JOIN two t ON o.v = t.w')).*;
SELECT (compare('SELECT o.id, t.id AS tid, t.list FROM one o LEFT JOIN two t ON o.v = t.w AND t.id < 100')).*;
SELECT (compare('SELECT o.id, t.id AS tid FROM one o FULL JOIN two t ON o.v = t.w')).*;
SELECT (compare('SELECT o.id, t.list FROM one o RIGHT JOIN two t ON o.name = t.name')).*;
SELECT (compare('SELECT id FROM one o WHERE EXISTS (SELECT FROM two t WHERE t.w = o.v)')).*;
SELECT (compare('SELECT id FROM one o WHERE NOT EXISTS (SELECT FROM two t WHERE t.w = o.v)')).*;
SELECT (compare('SELECT o.at, count(*), sum(t.id), max(t.name) FROM one o JOIN two t ON o.v = t.w GROUP BY o.at HAVING count(*) > 3')).*;
SELECT (compare('SELECT o.v, count(*) FROM one o JOIN two t ON o.v = t.w GROUP BY o.v ORDER BY 1 LIMIT 5')).*;
SELECT (compare('SELECT DISTINCT o.v FROM one o JOIN two t ON o.v = t.w WHERE o.at > date ''2024-01-10''')).*;
SELECT (compare('SELECT a.id, b.id AS bid, t.id AS tid FROM one a JOIN two t ON a.v = t.w JOIN one b ON b.v = t.w WHERE a.id < 50')).*;
SELECT (compare('SELECT o.id FROM one o JOIN two t ON o.v < t.w WHERE o.id < 5')).*;
SELECT (compare('SELECT o.id, s.n FROM one o JOIN (SELECT w, count(*) AS n FROM two GROUP BY w) s ON s.w = o.v')).*;
SET work_mem = '64kB';
SELECT (compare('SELECT o.id, t.id AS tid, repeat(t.name, 50) FROM one o JOIN two t ON o.v = t.w')).*;
RESET work_mem;
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/plan_of.sql'
\set ECHO none
\i :helpers
\set ECHO all
SELECT plan_of('SELECT o.name, count(*) FROM one o JOIN two t ON o.v = t.w GROUP BY o.name');
PREPARE p(integer) AS SELECT count(*) FROM one o JOIN two t ON o.v = t.w WHERE t.id < $1;
EXECUTE p(300);
EXECUTE p(1000);

-- Nodes know how many rows they keep.
BEGIN;
SELECT pgcluster.exchange_begin(9, 1);
SELECT pgcluster.exchange_put(9, 0, '\x0000000a000100000004000000090000000a00010000000400000008', 2);
EXPLAIN SELECT * FROM pgcluster.rows('\xffff000000090000000001') AS r(a integer);
EXPLAIN SELECT * FROM pgcluster.rows('\xffff000000080000000001') AS r(a integer);
ROLLBACK;
SELECT pgcluster.exchanged(0);

\set VERBOSITY terse
DROP SCHEMA exchange_join CASCADE;
DROP EXTENSION pgcluster;
