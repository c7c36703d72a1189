-- Partitioned tables that are distributed with their partitions.
\getenv abs_srcdir PG_ABS_SRCDIR
\set begin :abs_srcdir '/test/ddl_begin.sql'
\i :begin
CREATE TABLE kind (id integer PRIMARY KEY);
INSERT INTO kind VALUES (1), (2);
SELECT create_reference_table('kind');
CREATE TABLE event (gone integer, k integer, at date, v integer, kind integer REFERENCES kind,
    CONSTRAINT event_check CHECK (v >= 0), PRIMARY KEY (k, at)) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE event_2 (at date NOT NULL, k integer NOT NULL, v integer, gone integer, kind integer, CONSTRAINT event_check CHECK (v >= 0));
ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE event_rest PARTITION OF event DEFAULT PARTITION BY LIST (k);
CREATE TABLE event_rest_1 PARTITION OF event_rest FOR VALUES IN (1, 2, 500);
ALTER TABLE event DROP COLUMN gone;
CREATE INDEX event_v ON event (v);
INSERT INTO event (k, at, v, kind) SELECT g, '2024-01-01'::date + g % 50, g % 4, 1 FROM generate_series(1, 100) g;
INSERT INTO event (k, at, v) VALUES (500, '2030-01-01', 1);
-- Not a part of it.
SELECT create_distributed_table('event_1', 'k');
SELECT create_reference_table('event_1');
SELECT create_distributed_table('event', 'at', shard_count => 3);
SELECT undistribute_table('event');
SELECT count(*), sum(v) FROM event;
SELECT create_distributed_table('event', 'k', shard_count => 3);
SELECT count(*), sum(v) FROM event;
SELECT table_name, distribution_column FROM cluster_tables ORDER BY table_name::text;
SELECT t, d FROM (SELECT table_name AS t FROM cluster_tables) x, differences(t) d;

-- Reads, through the table and its partitions.
SELECT count(*) FROM event_1;
SELECT count(*) FROM event_rest;
SELECT count(*) FROM ONLY event;
SELECT tableoid::regclass FROM event;
SELECT * FROM event WHERE k = 7;
SELECT at, count(*) FROM event WHERE k < 20 GROUP BY at ORDER BY at LIMIT 3;
SELECT count(*) FROM event a JOIN event b ON a.v = b.k;
SELECT count(*) FROM event a JOIN event_1 b USING (k);
SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY v, k) AS n FROM event) x WHERE n > 90;

-- Writes: the nodes find the partition.
INSERT INTO event VALUES (1000, '2024-01-15', 3) RETURNING *;
INSERT INTO event VALUES (1001, '2040-01-15', 7);
INSERT INTO event_1 VALUES (1001, '2024-02-15', 7);
INSERT INTO event VALUES (1001, '2024-01-15', 7, 9);
UPDATE event SET at = '2024-02-20' WHERE k = 1000;
SELECT * FROM event_2 WHERE k = 1000;
UPDATE event SET v = v + 1;
DELETE FROM event WHERE k = 500 RETURNING v;
INSERT INTO event SELECT k + 2000, at, v FROM event WHERE at < '2024-01-05';
INSERT INTO event VALUES (2050, '2024-01-01', 1) ON CONFLICT (k, at) DO UPDATE SET v = 99;
COPY event (k, at, v) FROM stdin;
7777	2024-01-02	3
\.
SELECT count(*), sum(v) FROM event;

-- New partitions.
CREATE TABLE event_3 PARTITION OF event FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
INSERT INTO event VALUES (1, '2024-03-03', 0);
CREATE TABLE event_4 (k integer NOT NULL, at date NOT NULL, v integer, kind integer, CONSTRAINT event_check CHECK (v >= 0));
INSERT INTO event_4 VALUES (1, '2024-04-04', 4, 2);
ALTER TABLE event ATTACH PARTITION event_4 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01');
CREATE TABLE event_5 (LIKE event INCLUDING ALL);
INSERT INTO event_5 VALUES (1, '2020-01-01');
ALTER TABLE event ATTACH PARTITION event_5 FOR VALUES FROM ('2024-05-01') TO ('2024-06-01');
SELECT t, d FROM (SELECT table_name AS t FROM cluster_tables) x, differences(t) d;
SELECT * FROM event WHERE at > '2024-03-01' ORDER BY at;

-- Changes of all of it, and of one.
ALTER TABLE event ADD COLUMN note text DEFAULT 'x', ADD CONSTRAINT pos CHECK (k > 0);
ALTER TABLE event RENAME k TO key;
CREATE INDEX ON event (note);
CREATE INDEX event_1_at ON event_1 (at);
ALTER TABLE event_1 ALTER v SET DEFAULT 4, SET (fillfactor = 50);
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '% %', TG_OP, NEW.key; RETURN NEW; END$$;
CREATE TRIGGER said BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION say();
SELECT t, d FROM (SELECT table_name AS t FROM cluster_tables) x, differences(t) d;
SELECT DISTINCT distribution_column FROM cluster_tables WHERE kind = 'hash';
INSERT INTO event VALUES (3000, '2024-01-15', 3);
DROP INDEX event_v;
ALTER TABLE event DROP COLUMN note, DROP CONSTRAINT pos;
DROP TRIGGER said ON event;
SELECT t, d FROM (SELECT table_name AS t FROM cluster_tables) x, differences(t) d;
VACUUM ANALYZE event;
ALTER TABLE event DETACH PARTITION event_3 CONCURRENTLY;
ALTER TABLE event DETACH PARTITION event_rest;
BEGIN;
ALTER TABLE event DETACH PARTITION event_3 CONCURRENTLY;
ROLLBACK;
-- One shard was done before.
SELECT shard_schema AS done FROM cluster_shards WHERE table_name = 'event'::regclass ORDER BY 1 LIMIT 1 \gset
ALTER TABLE :done.event DETACH PARTITION :done.event_3 CONCURRENTLY;
ALTER TABLE event DETACH PARTITION event_3 CONCURRENTLY;
ALTER TABLE event DETACH PARTITION event_3 CONCURRENTLY;
SELECT count(*) FROM event_3;
SELECT * FROM differences('event_3');
DROP TABLE event_4;
TRUNCATE event_2;
SELECT count(*) FROM event;
BEGIN;
TRUNCATE event;
SELECT count(*) FROM event;
ROLLBACK;

-- The way back.
SELECT undistribute_table('event_1');
SELECT undistribute_table('event');
SELECT count(*) FROM event;
SELECT count(*) FROM event_1;
SELECT table_name FROM cluster_tables ORDER BY table_name::text;
DROP TABLE event, event_3, event_5, event_rest, kind;

-- Partitioned reference tables.
CREATE TABLE rate (id integer, d integer, v text, PRIMARY KEY (id, d)) PARTITION BY LIST (d);
CREATE TABLE rate_1 PARTITION OF rate FOR VALUES IN (1);
CREATE TABLE rate_2 PARTITION OF rate FOR VALUES IN (2) PARTITION BY RANGE (id);
CREATE TABLE rate_2a PARTITION OF rate_2 FOR VALUES FROM (0) TO (50);
INSERT INTO rate SELECT g, 1 + g % 2, 'v' || g FROM generate_series(1, 49) g;
SELECT create_reference_table('rate');
CREATE FUNCTION copies_differ() RETURNS boolean LANGUAGE sql AS $$
    SELECT count(DISTINCT x) <> 1 FROM (SELECT md5(string_agg(r::text, ',' ORDER BY r::text)) AS x FROM rate r
        UNION ALL SELECT answer[1] FROM pgcluster.ask_groups((SELECT format(
            'SELECT md5(string_agg(r::text, '','' ORDER BY r::text)) FROM %I.rate r', shard_schema)
            FROM cluster_shards WHERE table_name = 'rate'::regclass LIMIT 1))) y $$;
SELECT table_name, kind FROM cluster_tables ORDER BY table_name::text;
CREATE TABLE sale (k integer PRIMARY KEY, rate integer, d integer DEFAULT 1);
SELECT create_distributed_table('sale', 'k', shard_count => 3);
INSERT INTO sale SELECT g, g * 2 FROM generate_series(1, 20) g;
SELECT count(*) FROM sale JOIN rate ON id = rate AND rate.d = sale.d;
SELECT count(*) FROM sale JOIN rate_1 ON id = rate WHERE k < 5;
INSERT INTO rate VALUES (100, 1, 'new'), (12, 1, 'x');
INSERT INTO rate SELECT k + 100, 1, 'sale' FROM sale;
UPDATE rate SET d = 1, v = 'moved' WHERE id = 7;
INSERT INTO rate VALUES (7, 1, 'again') ON CONFLICT (id, d) DO UPDATE SET v = excluded.v;
UPDATE rate SET v = 'none' WHERE id IN (SELECT rate FROM sale);
DELETE FROM rate WHERE id = 8 RETURNING v;
CREATE TABLE rate_rest PARTITION OF rate DEFAULT;
INSERT INTO rate VALUES (1, 9, now()::text);
CREATE TABLE rate_4 (id integer NOT NULL, d integer NOT NULL, v text, PRIMARY KEY (id, d));
INSERT INTO rate_4 VALUES (1, 4, 'four');
ALTER TABLE rate ATTACH PARTITION rate_4 FOR VALUES IN (4);
ALTER TABLE rate ADD COLUMN n integer DEFAULT 5;
CREATE INDEX ON rate (v);
ALTER TABLE sale ADD FOREIGN KEY (rate, d) REFERENCES rate NOT VALID;
SELECT copies_differ();
SELECT t, d FROM (SELECT table_name AS t FROM cluster_tables) x, differences(t) d;
INSERT INTO sale VALUES (30, 77);
DELETE FROM sale WHERE d = 1;
ALTER TABLE sale DROP CONSTRAINT sale_rate_d_fkey;
TRUNCATE rate_1;
ALTER TABLE rate DETACH PARTITION rate_4;
SELECT copies_differ(), (SELECT count(*) FROM rate), (SELECT count(*) FROM rate_4);
SELECT undistribute_table('rate');
SELECT count(*) FROM rate;
DROP TABLE rate, rate_4, sale;
DROP FUNCTION copies_differ;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '_[0-9]{6,}$';
DROP FUNCTION say, differences, describe_query;
DROP EXTENSION pgcluster;
