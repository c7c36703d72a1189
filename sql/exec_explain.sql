-- What EXPLAIN says of work on other nodes.  The server is its own worker
-- group; numbers of shards and addresses stay out of the output.
CREATE EXTENSION IF NOT EXISTS pgcluster;
\set SHOW_CONTEXT never
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
CREATE SCHEMA explained;
SET search_path = explained;
CREATE TABLE t (k integer PRIMARY KEY, v integer, x text);
SELECT create_distributed_table('t', 'k', shard_count => 4);
INSERT INTO t SELECT g, g % 3, 'text ' || g FROM generate_series(1, 30) g;

\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/plan_of.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- VERBOSE asks one node for its plan, for the values at hand
SET enable_bitmapscan = off;
SELECT plan_of('VERBOSE', 'SELECT x FROM t WHERE k = 7');
PREPARE one (integer) AS SELECT x FROM t WHERE k = $1;
SELECT plan_of('VERBOSE', 'EXECUTE one (7)');
SELECT plan_of('VERBOSE', 'SELECT v, count(*) FROM t GROUP BY v');
SELECT plan_of('VERBOSE', 'DELETE FROM t WHERE k = 7');
SELECT plan_of('VERBOSE', 'SELECT x FROM t WHERE k = (SELECT 7)');

-- ANALYZE has it keep how the very statement went
SELECT plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', 'SELECT k, x FROM t WHERE k = 7');
SELECT plan_of('ANALYZE, TIMING OFF, SUMMARY OFF, VERBOSE', 'SELECT count(*) FROM t WHERE v = 1');
SELECT plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', 'UPDATE t SET v = v + 10 WHERE k = 7');
SELECT plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', 'INSERT INTO t VALUES (31, 1, ''x'')');
SELECT k, v FROM t WHERE k IN (7, 31) ORDER BY k;
SELECT count(*) > 0 AS waited FROM plan_of('ANALYZE', 'SELECT x FROM t WHERE k = 7') line WHERE line ~ 'Time Waited: [0-9.]+ ms';
SELECT count(*) AS times FROM plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', 'SELECT x FROM t') line WHERE line ~ '(Time|time)';

-- queries that run here for the statement
CREATE TABLE here (k integer, v integer);
INSERT INTO here VALUES (7, 1), (8, 2);
ANALYZE here;
SET enable_mergejoin = off;
CREATE TABLE copied (k integer PRIMARY KEY, v integer);
SELECT create_reference_table('copied');
SELECT plan_of('DELETE FROM t USING here WHERE t.v = here.v AND t.x = ''text 7''');
SELECT plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', 'UPDATE t SET x = here.v FROM here WHERE t.v = here.v AND t.k = here.k');
SELECT plan_of('INSERT INTO t SELECT k + 100, v, NULL FROM here');
SELECT plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', 'UPDATE copied SET v = t.v FROM t WHERE t.k = copied.k');
SELECT plan_of('WITH gone AS (DELETE FROM t WHERE k = 100 RETURNING k) INSERT INTO here SELECT k, 0 FROM gone');
SELECT plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', 'WITH gone AS (DELETE FROM t WHERE k = 100 RETURNING k) INSERT INTO here SELECT k, 0 FROM gone');
RESET enable_mergejoin;

-- as a document
CREATE FUNCTION json_of(options text, query text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    document jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON, ' || options || ') ' || query INTO document;
    RETURN document;
END $$;
SELECT j #>> '{0,Plan,Tier}' AS tier, j #>> '{0,Plan,Task,Remote Plan,0,Plan,Node Type}' AS remote
FROM json_of('VERBOSE', 'SELECT x FROM t WHERE k = 7') j;
SELECT j #>> '{0,Plan,Bytes Received}' AS bytes, j #>> '{0,Plan,Remote Plan,0,Plan,Actual Loops}' AS loops,
    j #> '{0,Plan}' ? 'Time Waited' AS waited, j #> '{0,Plan,Remote Plan,0,Plan}' ? 'Shared Hit Blocks' AS buffers
FROM json_of('ANALYZE, BUFFERS', 'SELECT x FROM t WHERE k = 7') j;

-- without an EXPLAIN nothing is kept
SELECT pgcluster.explained(0) IS NULL AS nothing;

\set VERBOSITY terse
DROP SCHEMA explained CASCADE;
DROP EXTENSION pgcluster;
