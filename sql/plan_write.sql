-- Statements that change rows of several shards, and what they return.
CREATE EXTENSION IF NOT EXISTS pgcluster;
-- Contexts name the node.
\set SHOW_CONTEXT never
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
CREATE SCHEMA written;
SET search_path = written;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE item (id serial PRIMARY KEY, name text, tags text[], made timestamptz DEFAULT now(),
    doubled integer GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE part (item_id integer, no integer GENERATED ALWAYS AS IDENTITY, weight numeric(6,2), PRIMARY KEY (item_id, no));
CREATE TABLE kind (id integer PRIMARY KEY, name text, number serial, made timestamptz DEFAULT clock_timestamp());
CREATE TABLE log (id integer, what text);
SELECT create_distributed_table('item', 'id', shard_count => 4);
SELECT create_distributed_table('part', 'item_id', colocate_with => 'item');
SELECT create_reference_table('kind');

-- RETURNING keeps the order of the rows, defaults come from here
INSERT INTO item (name, tags) VALUES ('a', '{x,"y z"}'), ('b', NULL), ('c\d''e', '{}'), ('d', '{NULL}')
    RETURNING id, name, tags, doubled, made = now() AS now;
INSERT INTO item (name) VALUES ('single') RETURNING id, item.name;
INSERT INTO item VALUES (1, 'again'), (50, 'fifty') ON CONFLICT (id) DO UPDATE SET name = item.name || ' ' || excluded.name;
INSERT INTO item VALUES (1, 'never'), (51, 'one') ON CONFLICT DO NOTHING RETURNING name;
INSERT INTO item VALUES (60, 'x'), (60, 'y');
INSERT INTO item (id, name) VALUES (61, 'kept'), (NULL, 'not');
INSERT INTO part (item_id, weight) VALUES (1, 1.005), (2, 22.1), (1, 3) RETURNING *;
INSERT INTO part (item_id, no, weight) OVERRIDING SYSTEM VALUE VALUES (3, 99, 1), (4, 98, 2) RETURNING no;
SELECT id, name FROM item ORDER BY id;

-- every shard
UPDATE item SET name = upper(name) WHERE id < 4 RETURNING name;
UPDATE part SET weight = weight * 2 FROM item WHERE item.id = part.item_id AND item.name = 'A AGAIN';
DELETE FROM part WHERE item_id IN (SELECT id FROM item WHERE name = 'B');
SELECT item_id, no, weight FROM part ORDER BY 1, 2;
UPDATE item SET tags[2] = 'second' WHERE id IN (1, 2) RETURNING id, tags;
UPDATE item SET (name, tags) = (SELECT 'from part', array[weight::text] FROM part WHERE item_id = item.id AND no = 99) WHERE id = 3 RETURNING name, tags;

-- rows of queries
INSERT INTO item (name) SELECT 'copy of ' || name FROM item WHERE id = 1 OR id = 50;
INSERT INTO log SELECT id, name FROM item WHERE name LIKE 'copy%';
INSERT INTO item (id, name) SELECT 1000 + id, what FROM log;
SELECT count(*), count(DISTINCT id) FROM item WHERE name LIKE 'copy%';
SELECT id - 1000 AS id FROM item WHERE id > 1000 EXCEPT SELECT id FROM log;
INSERT INTO part (item_id, weight) SELECT id, 1 FROM item WHERE id = 1;

-- rows of local tables changed by those of distributed ones
UPDATE log SET what = 'seen ' || item.id - 1000 FROM item WHERE item.id = log.id + 1000 RETURNING what = 'seen ' || log.id AS same;
DELETE FROM log USING item WHERE item.id = log.id AND item.name LIKE 'copy%';
MERGE INTO log USING item ON item.id = log.id WHEN NOT MATCHED AND item.id < 3 THEN INSERT VALUES (item.id, item.name);
SELECT * FROM log ORDER BY id;
SELECT log.id, item.name FROM log JOIN item USING (id) ORDER BY 1 FOR UPDATE OF log;

-- reference tables: the same on all copies
INSERT INTO kind (id, name) VALUES (1, 'one'), (2, 'two') RETURNING id, number;
INSERT INTO kind (id, name) VALUES (2, 'second'), (3, 'three') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name;
UPDATE kind SET name = upper(name), made = now() WHERE id > 1;
DELETE FROM kind WHERE id = 1 RETURNING name;
INSERT INTO kind (id, name) SELECT id + 10, name FROM kind;
SELECT id, name FROM kind ORDER BY id;
SELECT number, made FROM kind EXCEPT SELECT number, made FROM (SELECT k.* FROM kind k, item WHERE item.id = 1) copy;
SELECT (SELECT count(*) FROM kind) AS here, count(*) AS there FROM kind k, item WHERE item.id = 1;

-- one transaction
BEGIN;
UPDATE item SET name = 'gone' WHERE id = 1;
SAVEPOINT before;
DELETE FROM item;
INSERT INTO kind (id) VALUES (100);
ROLLBACK TO before;
SELECT count(*) > 1 AS there FROM item WHERE name IS NOT NULL;
SELECT name FROM item WHERE id = 1;
ROLLBACK;
SELECT name FROM item WHERE id = 1;
SELECT count(*) FROM kind WHERE id = 100;

-- a cursor goes on while its connection is used for other things
BEGIN;
DECLARE names CURSOR FOR SELECT id, name FROM item WHERE id = 1 OR id = 2 ORDER BY id;
DECLARE parts CURSOR FOR SELECT no, weight FROM part WHERE item_id = 1 ORDER BY no;
FETCH 1 FROM parts;
UPDATE part SET weight = 0 WHERE item_id = 1;
FETCH 1 FROM names;
FETCH ALL FROM parts;
FETCH ALL FROM names;
COMMIT;
BEGIN;
DECLARE back SCROLL CURSOR WITH HOLD FOR SELECT no FROM part WHERE item_id = 1 ORDER BY no;
FETCH 2 FROM back;
FETCH BACKWARD 1 FROM back;
COMMIT;
FETCH FIRST FROM back;
CLOSE back;

\set VERBOSITY terse
DROP SCHEMA written CASCADE;
