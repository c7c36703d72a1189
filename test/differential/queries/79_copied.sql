-- a reference table from tables that are split
UPDATE products SET name = name || ' of ' || o.user_id FROM orders o WHERE o.order_id = product_id RETURNING product_id, name, o.status;

-- and what the copies hold then
UPDATE products SET name = upper(name) FROM orders o WHERE o.order_id = product_id AND o.user_id < 30;
SELECT i.user_id, i.order_id, p.name FROM order_items i JOIN products p USING (product_id);

-- rows that a subquery finds
UPDATE countries SET name = (SELECT max(name) FROM users u WHERE u.country = code) WHERE code IN (SELECT country FROM users);

-- delete rows that nobody refers to
DELETE FROM products p WHERE NOT EXISTS (SELECT FROM order_items i WHERE i.product_id = p.product_id) RETURNING p.*;

-- delete with USING
DELETE FROM r6 USING accounts a WHERE a.owner = r6.k RETURNING r6.k, a.owner;

-- insert from a query, with RETURNING
INSERT INTO countries SELECT 'X' || user_id, name FROM users WHERE user_id < 5 RETURNING code, (SELECT count(*) FROM users);

-- insert from a query, with a conflict
INSERT INTO countries AS c SELECT DISTINCT country, 'of users' FROM users WHERE country IS NOT NULL ON CONFLICT (code) DO UPDATE SET name = c.name || excluded.name RETURNING code, name;

-- insert with a subquery in ON CONFLICT
INSERT INTO countries AS c VALUES ('DE', 'x'), ('ZZ', 'y') ON CONFLICT (code) DO UPDATE SET name = (SELECT min(name) FROM users) RETURNING *;

-- merge into a reference table
MERGE INTO products p USING (SELECT product_id, sum(quantity) AS n FROM order_items GROUP BY 1) i ON i.product_id = p.product_id WHEN MATCHED AND i.n > 60 THEN UPDATE SET name = p.name || i.n WHEN NOT MATCHED THEN DO NOTHING;

-- merge that inserts
MERGE INTO countries c USING users u ON 'N' || u.user_id = c.code WHEN NOT MATCHED AND u.user_id < 9 THEN INSERT VALUES ('N' || u.user_id, u.name) WHEN MATCHED THEN DELETE;

-- keys that move on
BEGIN;
CREATE TABLE steps (id int PRIMARY KEY, v text);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('steps'); END IF; END $$;
INSERT INTO steps SELECT i * 10, 'v' || i FROM generate_series(1, 30) i;
UPDATE steps SET id = steps.id + u.user_id FROM users u WHERE u.user_id = 5;
SELECT steps.*, count(*) FROM steps CROSS JOIN kv GROUP BY 1, 2;
ROLLBACK;

-- rows without a key, some alike
BEGIN;
CREATE TABLE bag (a int, b text, c numeric);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('bag'); END IF; END $$;
INSERT INTO bag SELECT i % 4, nullif('b' || i % 3, 'b1'), i % 2 FROM generate_series(1, 40) i;
UPDATE bag SET c = c + 1.50, b = 'u' FROM users u WHERE u.user_id = a + 7 AND b IS NULL;
DELETE FROM bag WHERE a IN (SELECT max(user_id) % 4 FROM users) RETURNING a, b, c;
SELECT a, b, c, count(*) FROM bag GROUP BY 1, 2, 3;
SELECT a, b, c, count(*) FROM bag CROSS JOIN kv GROUP BY 1, 2, 3;
ROLLBACK;

-- generated, identity and dropped columns
BEGIN;
CREATE TABLE made (gone int, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int DEFAULT 3, twice int GENERATED ALWAYS AS (v * 2) STORED, "Odd name" text);
ALTER TABLE made DROP COLUMN gone;
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('made'); END IF; END $$;
INSERT INTO made ("Odd name") SELECT 'x' FROM users WHERE user_id < 9 RETURNING v, twice, "Odd name";
UPDATE made SET v = u.user_id, "Odd name" = 'y' FROM users u WHERE u.user_id = made.id + 2 RETURNING made.v, twice;
SELECT m.v, m.twice, m."Odd name", count(*) FROM made m CROSS JOIN kv GROUP BY 1, 2, 3;
ROLLBACK;

-- what a trigger writes beside
BEGIN;
CREATE TABLE noted (id int, what text);
CREATE TABLE watched (id int PRIMARY KEY, v int);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('watched'); PERFORM create_distributed_table('noted', 'id'); END IF; END $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noted VALUES (coalesce(NEW.id, OLD.id), TG_OP); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR DELETE ON watched FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO watched SELECT user_id, 0 FROM users WHERE user_id < 6 RETURNING id;
DELETE FROM watched USING orders o WHERE o.order_id = id AND id < 4;
SELECT * FROM noted;
SELECT w.*, count(*) FROM watched w CROSS JOIN kv GROUP BY 1, 2;
ROLLBACK;

-- what a trigger for the statement sees of the copies
BEGIN;
CREATE TABLE noted (id int, what text);
CREATE TABLE watched (id int PRIMARY KEY, v int);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('watched'); PERFORM create_distributed_table('noted', 'id'); END IF; END $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noted SELECT w.id, k.key FROM watched w CROSS JOIN kv k; UPDATE watched SET v = v + 1; RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT ON watched EXECUTE FUNCTION note();
INSERT INTO watched SELECT user_id, 0 FROM users WHERE user_id < 6 RETURNING id;
INSERT INTO watched VALUES (50, 3), (51, 4);
SELECT id, count(*) FROM noted GROUP BY id;
SELECT w.*, count(*) FROM watched w CROSS JOIN kv GROUP BY 1, 2;
ROLLBACK;

-- a prepared statement with parameters
PREPARE up (int, text) AS UPDATE countries SET name = $2 WHERE code IN (SELECT country FROM users WHERE user_id > $1) RETURNING code, name;
EXECUTE up (30, 'thirty');
EXECUTE up (999, 'none');
SELECT c.name, count(*) FROM users JOIN countries c ON c.code = country GROUP BY 1;

-- a duplicate key
-- fails: 23505
INSERT INTO countries SELECT 'DE', name FROM users WHERE user_id = 3 RETURNING code;

-- a savepoint that is undone
BEGIN;
SAVEPOINT s;
UPDATE countries SET name = 'gone' FROM users u WHERE u.country = code;
ROLLBACK TO s;
SELECT DISTINCT c.code, c.name FROM countries c JOIN users u ON u.country = c.code;
ROLLBACK;

-- a trigger that writes the table it watches
BEGIN;
CREATE TABLE own (id int PRIMARY KEY, v int);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('own'); END IF; END $$;
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE own SET v = v + 1 WHERE id <> NEW.id; RETURN NULL; END $$;
CREATE TRIGGER again AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO own VALUES (1, 0), (2, 0), (3, 0);
INSERT INTO own VALUES (4, 0);
SELECT w.*, count(*) FROM own w CROSS JOIN kv GROUP BY 1, 2;
ROLLBACK;

-- the same while rows are on their way
-- refused: the copies do not have them all
BEGIN;
CREATE TABLE own (id int PRIMARY KEY, v int);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_reference_table('own'); END IF; END $$;
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE own SET v = v + 1 WHERE id <> NEW.id; RETURN NULL; END $$;
CREATE TRIGGER again AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO own SELECT user_id, 0 FROM orders GROUP BY user_id RETURNING id;
ROLLBACK;
