-- COPY, TRUNCATE and DROP of distributed tables.
CREATE EXTENSION IF NOT EXISTS pgcluster;
-- Contexts name the node.
\set SHOW_CONTEXT never
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
CREATE TABLE line (id integer NOT NULL, t text DEFAULT 'none', d date, n numeric, g integer GENERATED ALWAYS AS (id + 1) STORED, s serial);
CREATE TABLE kind (id integer PRIMARY KEY, name text, made integer DEFAULT 5);
SELECT create_distributed_table('line', 'id', shard_count => 4);
SELECT create_reference_table('kind');

COPY line (id, t, d) FROM STDIN;
1	one\ttab\\slash\nnewline	2020-01-01
2	\N	\N
3		2021-02-03
\.
COPY line (id, t) FROM STDIN (FORMAT csv, HEADER, NULL 'nil');
id,t
4,"a ""quoted"", value"
5,nil
\.
COPY line (id) FROM STDIN WHERE id % 2 = 0;
6
7
8
\.
SELECT id, t, d, n, g, s FROM line ORDER BY id;

-- Errors are those of a local table, and nothing is half loaded.
COPY line (id, d) FROM STDIN;
10	2020-01-01
11	tomorrowish
\.
COPY line (id, t) FROM STDIN;
10	a	b
\.
COPY line (id, t) FROM STDIN;
\N	a
\.
\copy line (id, g) FROM /dev/null
\copy line (id) FROM /dev/null WHERE g > 1
\copy line FROM /dev/null (FREEZE)
SELECT count(*) FROM line;
BEGIN;
COPY line (id, t) FROM STDIN;
20	in a transaction
\.
SELECT t FROM line WHERE id = 20;
ROLLBACK;
SELECT count(*) FROM line;

-- Text format when the binary one would not be the same everywhere; settings do not matter.
CREATE TYPE color AS ENUM ('red', 'green');
CREATE DOMAIN small AS integer CHECK (VALUE < 100);
CREATE TABLE typed (id integer, c color, s small, f float8, i interval, r regclass, ts timestamptz, b bytea, a integer[]);
SELECT create_distributed_table('typed', 'id', shard_count => 2);
SET extra_float_digits = -10;
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'sql_standard';
COPY typed FROM STDIN;
1	red	5	0.1234567890123456	-1 2:03:04	pg_class	03/02/2020 10:00:00 UTC	\\x00ff	{1,NULL,3}
\.
COPY typed (id, s) FROM STDIN;
2	100
\.
SET client_encoding = 'LATIN1';
COPY typed (id, c) FROM STDIN;
3	green
\.
RESET ALL;
SELECT id, c, s, f, i, r, ts AT TIME ZONE 'UTC' AS ts, b, a FROM typed ORDER BY id;
DROP TABLE typed;
DROP DOMAIN small;
DROP TYPE color;

-- Who reads values of a domain runs none of its checks, and an outer join has nulls that it does not allow.
CREATE FUNCTION is_checked(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'checked'; RETURN true; END $$;
CREATE DOMAIN strict_small AS integer NOT NULL CHECK (is_checked(VALUE));
CREATE TABLE strictly (id integer, s strict_small);
SELECT create_distributed_table('strictly', 'id', shard_count => 2);
SET client_min_messages = warning;
INSERT INTO strictly VALUES (1, 7);
RESET client_min_messages;
SELECT id, s FROM strictly;
SELECT i, s FROM generate_series(1, 2) i LEFT JOIN strictly ON id = i ORDER BY i;
SELECT a.id, b.s FROM strictly a LEFT JOIN strictly b ON b.id = a.id AND b.s > 7;
DROP TABLE strictly;
DROP DOMAIN strict_small;
DROP FUNCTION is_checked;

COPY (SELECT id, t FROM line ORDER BY id LIMIT 2) TO STDOUT;
CREATE TABLE one (id integer, t text);
SELECT create_distributed_table('one', 'id', shard_count => 2);
COPY one FROM STDIN;
1	x
\.
COPY one TO STDOUT;
COPY one (t, id) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE (t));
COPY one (nothing) TO STDOUT;
DROP TABLE one;

-- Reference tables: every copy has the rows, defaults are evaluated once.
COPY kind (id, name) FROM STDIN;
1	first
2	second
\.
COPY kind (id, name) FROM STDIN;
3	third
1	again
\.
TABLE kind;
SELECT format('%I.kind', shard_schema) AS piece FROM cluster_shards WHERE table_name = 'kind'::regclass \gset
TABLE :piece;
COPY kind TO STDOUT;

-- Privileges are those that COPY needs.
CREATE ROLE copy_user;
GRANT SELECT, INSERT (id, t) ON line TO copy_user;
SET ROLE copy_user;
\copy line (id, d) FROM /dev/null
COPY line (id, t) FROM '/nowhere';
COPY line (id, t) FROM PROGRAM 'true';
RESET ROLE;
REVOKE ALL ON line FROM copy_user;
DROP ROLE copy_user;

-- TRUNCATE
BEGIN;
TRUNCATE line RESTART IDENTITY;
SELECT count(*) FROM line;
INSERT INTO line (id) VALUES (1) RETURNING s;
ROLLBACK;
SELECT count(*) FROM line;
CREATE TABLE of_kind (id integer PRIMARY KEY, kind integer REFERENCES kind);
SELECT create_distributed_table('of_kind', 'id', shard_count => 4);
INSERT INTO of_kind VALUES (1, 1), (2, 2);
TRUNCATE kind;
TRUNCATE kind, line CASCADE;
SELECT (SELECT count(*) FROM kind) AS kinds, (SELECT count(*) FROM of_kind) AS of_kinds, (SELECT count(*) FROM line) AS lines;
TABLE :piece;

-- DROP, in all its ways; the shards go along.
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.t (a integer);
SELECT create_distributed_table('elsewhere.t', 'a', shard_count => 4);
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^elsewhere_';
DROP EXTENSION pgcluster;
DROP SCHEMA elsewhere CASCADE;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^elsewhere_';
DROP TABLE kind;
BEGIN;
DROP TABLE kind, of_kind;
ROLLBACK;
SELECT count(*) FROM of_kind;
DROP TABLE kind, of_kind, line;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^public_';
SELECT count(*) FROM pgcluster.shard;
SELECT count(*) FROM pgcluster.colocation_group;
DROP EXTENSION pgcluster;
