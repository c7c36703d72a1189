-- Tables become distributed and local again.  The server is its own worker
-- group; numbers of shards and groups stay out of the output.
CREATE EXTENSION IF NOT EXISTS pgcluster;
-- Contexts name the node.
\set SHOW_CONTEXT never
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer, 77);
SELECT cluster_add_node('a,b', 5432);
SELECT cluster_add_node('a', 0);

CREATE TABLE customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    born date DEFAULT '1970-01-01',
    tags text[] DEFAULT '{}',
    score numeric(6,2) CHECK (score >= 0),
    twice numeric GENERATED ALWAYS AS (score * 2) STORED
) WITH (fillfactor = 80);
CREATE INDEX customer_name ON customer (lower(name)) WHERE score > 1;
CREATE STATISTICS customer_stat ON name, born FROM customer;
INSERT INTO customer (name, score) SELECT 'name ' || g, g / 10.0 FROM generate_series(1, 200) g;
CREATE TABLE country (code char(2) PRIMARY KEY, name text UNIQUE);
INSERT INTO country VALUES ('de', 'Germany'), ('it', 'Italy');
CREATE TABLE purchase (
    customer_id integer REFERENCES customer ON DELETE CASCADE,
    no serial,
    country char(2) REFERENCES country,
    note text,
    PRIMARY KEY (customer_id, no)
);

-- What cannot work is refused, and nothing is left behind.
SELECT create_distributed_table('customer', 'nothing');
SELECT create_distributed_table('customer', 'ctid');
SELECT create_distributed_table('customer', 'twice');
SELECT create_distributed_table('customer', 'name');
SELECT create_distributed_table('customer', 'id', shard_count => 0);
SELECT create_distributed_table('customer', 'id', colocate_with => 'country');
SELECT create_distributed_table('purchase', 'customer_id');
SELECT create_distributed_table('pg_class', 'oid');
SELECT create_distributed_table('pgcluster.shard', 'id');
CREATE TEMP TABLE temporary (a integer);
SELECT create_distributed_table('temporary', 'a');
CREATE VIEW no_table AS SELECT 1 AS a;
SELECT create_distributed_table('no_table', 'a');
CREATE TABLE parted (a integer) PARTITION BY HASH (a);
SELECT create_reference_table('parted');
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE felt (m mood, a integer, b json);
SELECT create_distributed_table('felt', 'm');
SELECT create_distributed_table('felt', 'b');
DROP TABLE felt, parted;
DROP VIEW no_table;
SELECT count(*) FROM pgcluster.shard;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^public_';

-- Rows move, the shell is empty, the shards have the definition.
SELECT create_distributed_table('customer', 'id', shard_count => 4);
SELECT create_distributed_table('customer', 'id', shard_count => 4);
SELECT count(*), sum(score), sum(twice) FROM customer;
SELECT shard_schema AS first_schema FROM cluster_shards WHERE table_name = 'customer'::regclass ORDER BY hash_min LIMIT 1 \gset
SELECT hash_min, hash_max FROM cluster_shards WHERE table_name = 'customer'::regclass ORDER BY hash_min;
SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, a.attidentity,
    collname, replace(pg_get_expr(adbin, adrelid), :'first_schema', 'SHARD') AS default
FROM pg_attribute a LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    LEFT JOIN pg_collation c ON c.oid = attcollation
WHERE attrelid = format('%I.customer', :'first_schema')::regclass AND attnum > 0 ORDER BY attnum;
SELECT replace(indexdef, :'first_schema', 'SHARD') FROM pg_indexes WHERE schemaname = :'first_schema' ORDER BY 1;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = :'first_schema'::regnamespace AND contype <> 'n' ORDER BY 1;
SELECT replace(pg_get_statisticsobjdef(oid), :'first_schema', 'SHARD') FROM pg_statistic_ext WHERE stxnamespace = :'first_schema'::regnamespace;
SELECT reloptions FROM pg_class WHERE oid = format('%I.customer', :'first_schema')::regclass;
INSERT INTO customer (name, score) VALUES ('new', 1) RETURNING id, twice;
INSERT INTO customer (name, score) VALUES ('bad', -1);

-- Reference tables and foreign keys between all of them.
SELECT create_reference_table('country');
SELECT create_distributed_table('purchase', 'customer_id', 'customer');
SELECT table_name, kind, distribution_column, shard_count FROM cluster_tables ORDER BY table_name::text;
SELECT count(DISTINCT colocation_id) FROM cluster_tables WHERE kind = 'hash';
INSERT INTO purchase (customer_id, country) VALUES (1, 'de'), (2, 'it'), (3, 'de');
INSERT INTO purchase (customer_id, country) VALUES (1, 'fr');
INSERT INTO purchase (customer_id, country) VALUES (1000, 'de');
DELETE FROM country WHERE code = 'it';
DELETE FROM customer WHERE id = 2;
SELECT customer_id, no, country FROM purchase ORDER BY 1;
DELETE FROM country WHERE code = 'it';
TABLE country;

-- A table that was made in the same transaction; an error takes all away.
BEGIN;
CREATE TABLE fresh (a integer PRIMARY KEY, b text);
INSERT INTO fresh SELECT g, 'x' FROM generate_series(1, 10) g;
SELECT create_distributed_table('fresh', 'a', colocate_with => 'none', shard_count => 2);
SELECT count(*) FROM fresh;
SAVEPOINT s;
SELECT undistribute_table('fresh');
SELECT count(*) FROM ONLY fresh;
ROLLBACK TO s;
SELECT count(*) FROM fresh;
ROLLBACK;
SELECT count(*) FROM cluster_tables;

-- The way back.
SELECT undistribute_table('customer');
SELECT undistribute_table('country');
SELECT undistribute_table('purchase');
SELECT customer_id, no, country FROM ONLY purchase ORDER BY 1;
SELECT undistribute_table('purchase');
SELECT undistribute_table('customer', cascade => true);
SELECT undistribute_table('country');
SELECT count(*), sum(score), sum(twice) FROM ONLY customer;
INSERT INTO customer (name) VALUES ('local') RETURNING id;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^public_';
SELECT count(*) FROM pgcluster.shard;

-- Names that need quotes or are too long with the shard's number, and a dropped column.
CREATE SCHEMA "We""ird S.1";
CREATE SCHEMA a234567890123456789012345678901234567890123456789012345678901;
CREATE TABLE "We""ird S.1"."R ef" ("I d" integer PRIMARY KEY, "x y" text);
INSERT INTO "We""ird S.1"."R ef" VALUES (1, 'a');
SELECT create_reference_table('"We""ird S.1"."R ef"');
SET search_path = a234567890123456789012345678901234567890123456789012345678901;
CREATE TABLE "T ab" (
    "K 1" text PRIMARY KEY,
    gone integer,
    v integer REFERENCES "We""ird S.1"."R ef",
    CHECK ("K 1" <> 'REFERENCES "We""ird S.1"."R ef"(')
);
ALTER TABLE "T ab" DROP COLUMN gone, ADD COLUMN "after" integer DEFAULT 7;
CREATE INDEX "i x" ON "T ab" (("K 1" || ' ON "T ab" USING'));
INSERT INTO "T ab" ("K 1", v) VALUES ('p', 1);
SELECT create_distributed_table('"T ab"', 'K 1', shard_count => 2);
INSERT INTO "T ab" ("K 1", v) VALUES ('q', 1);
TABLE "T ab" ORDER BY "K 1";
SELECT count(DISTINCT shard_schema), max(length(shard_schema)) FROM cluster_shards WHERE table_name = '"T ab"'::regclass;
SELECT undistribute_table('"T ab"');
TABLE "T ab" ORDER BY "K 1";
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA "We""ird S.1", a234567890123456789012345678901234567890123456789012345678901 CASCADE;
RESET client_min_messages;

-- Who may do all this.
CREATE ROLE distribute_user;
GRANT CREATE ON SCHEMA public TO distribute_user;
SET ROLE distribute_user;
CREATE TABLE mine (a integer);
SELECT create_distributed_table('mine', 'a');
SELECT cluster_add_node('a', 1);
TABLE cluster_tables;
RESET ROLE;
GRANT EXECUTE ON FUNCTION create_distributed_table(regclass, name, text, integer) TO distribute_user;
SET ROLE distribute_user;
SELECT create_distributed_table('customer', 'id');
RESET ROLE;
DROP TABLE customer, purchase, country, mine;
REVOKE ALL ON FUNCTION create_distributed_table(regclass, name, text, integer) FROM distribute_user;
REVOKE ALL ON SCHEMA public FROM distribute_user;
DROP ROLE distribute_user;
DROP TYPE mood;

-- A session that waits on its node, this server, for a lock of its own.
CREATE TABLE held (a integer);
SELECT min(group_id) AS own FROM cluster_nodes \gset
SET deadlock_timeout = '100ms';
SET statement_timeout = '60s';
\set VERBOSITY sqlstate
BEGIN;
LOCK TABLE held;
SELECT pgcluster.query_on_group(:own, 'SELECT count(*) FROM public.held');
ROLLBACK;
\set VERBOSITY default
RESET deadlock_timeout;
RESET statement_timeout;
DROP TABLE held;

-- A trigger on a shard of this server writes another table, in a transaction
-- that changes the server too: all of it ends with the client's COMMIT.
CREATE TABLE noted (k integer, v text);
CREATE TABLE told (k integer PRIMARY KEY, v text);
SELECT create_distributed_table('noted', 'k', shard_count => 2), create_distributed_table('told', 'k', shard_count => 2);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO noted SELECT g, NEW.v FROM generate_series(1, 5) g; RETURN NULL; END$$;
CREATE TRIGGER note AFTER INSERT ON told FOR EACH ROW EXECUTE FUNCTION note();
BEGIN;
ALTER TABLE told ADD w integer;
INSERT INTO told VALUES (1, 'a');
COMMIT;
SELECT count(*), (SELECT count(*) FROM pg_prepared_xacts) AS prepared FROM noted;
BEGIN;
ALTER TABLE told DROP w;
INSERT INTO told VALUES (2, 'b');
PREPARE TRANSACTION 'noted';
COMMIT PREPARED 'noted';
SELECT count(*), (SELECT count(*) FROM pg_prepared_xacts) AS prepared FROM noted;
BEGIN;
ALTER TABLE told ADD x integer;
INSERT INTO told VALUES (3, 'c');
PREPARE TRANSACTION 'noted';
ROLLBACK PREPARED 'noted';
SELECT count(*), (SELECT count(*) FROM pg_prepared_xacts) AS prepared FROM noted;
-- What a role owns includes shards of this server, which the session's transaction there has locked.
BEGIN;
DROP TABLE noted;
REASSIGN OWNED BY CURRENT_USER TO CURRENT_USER;
ROLLBACK;
BEGIN;
DROP TABLE noted;
DROP OWNED BY CURRENT_USER;
ROLLBACK;
DROP TABLE told, noted;
DROP FUNCTION note;
DROP EXTENSION pgcluster;
