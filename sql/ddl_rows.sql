-- What happens to rows of distributed tables: triggers, row-level security,
-- rules and views.
\getenv abs_srcdir PG_ABS_SRCDIR
\set begin :abs_srcdir '/test/ddl_begin.sql'
\i :begin
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN NEW.name := upper(NEW.name); NEW.changes := coalesce(NEW.changes, 0) + 1; RETURN NEW; END$$;
CREATE FUNCTION shift() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.k := NEW.k + 1; RETURN NEW; END$$;
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN RAISE NOTICE '% % % %', TG_NAME, TG_OP, TG_LEVEL, TG_WHEN; RETURN NULL; END$$;
CREATE TABLE person (k integer PRIMARY KEY, name text, changes integer);
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF name ON person FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO person VALUES (1, 'joe');
SELECT create_distributed_table('person', 'k', shard_count => 3);
SELECT * FROM differences('person');
INSERT INTO person (k, name) VALUES (2, 'ann'), (3, 'bob') RETURNING *;
INSERT INTO person SELECT g, 'many' FROM generate_series(10, 12) g;
COPY person (k, name) FROM stdin;
20	copied
\.
UPDATE person SET name = 'x' || name WHERE k < 3;
SELECT * FROM person ORDER BY k;
-- A trigger may not change where a row belongs.
CREATE TRIGGER shift BEFORE INSERT ON person FOR EACH ROW WHEN (NEW.k > 100) EXECUTE FUNCTION shift();
INSERT INTO person VALUES (50, 'stays');
INSERT INTO person SELECT g FROM generate_series(101, 110) g;
SELECT count(*) FROM person WHERE k > 100;
ALTER TRIGGER shift ON person RENAME TO "Shift ON person";
ALTER TABLE person DISABLE TRIGGER "Shift ON person";
SELECT * FROM differences('person');
INSERT INTO person VALUES (101, 'stays too');
ALTER TABLE person RENAME k TO id;
SELECT * FROM differences('person');
ALTER TABLE person ENABLE ALWAYS TRIGGER "Shift ON person";
SELECT * FROM differences('person');
DROP TRIGGER "Shift ON person" ON person;
CREATE TRIGGER said AFTER UPDATE ON person FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION say();
UPDATE person SET name = 'said' WHERE id = 1;
CREATE OR REPLACE TRIGGER said AFTER UPDATE OR DELETE ON person FOR EACH STATEMENT EXECUTE FUNCTION say();
SELECT * FROM differences('person');
DELETE FROM person WHERE id = 101;
ALTER TABLE person DISABLE TRIGGER ALL;
DELETE FROM person WHERE id = 50;
ALTER TABLE person ENABLE TRIGGER USER;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON person DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION say();
BEGIN;
INSERT INTO person VALUES (60);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT 'immediate' AS now;
SET CONSTRAINTS late DEFERRED;
INSERT INTO person VALUES (61);
SELECT 'deferred' AS now;
COMMIT;
CREATE TRIGGER emptied AFTER TRUNCATE ON person EXECUTE FUNCTION say();
CREATE TRIGGER two AFTER INSERT OR TRUNCATE ON person EXECUTE FUNCTION say();
BEGIN;
TRUNCATE person;
SELECT count(*) FROM person;
ROLLBACK;
SELECT undistribute_table('person');
SELECT * FROM person ORDER BY id;
DROP TABLE person;

-- Of a reference table they fire once.
CREATE TABLE country (code text PRIMARY KEY, name text, changes integer);
SELECT create_reference_table('country');
CREATE TRIGGER said AFTER INSERT ON country FOR EACH ROW EXECUTE FUNCTION say();
CREATE TRIGGER touch BEFORE INSERT ON country FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO country VALUES ('de', 'Germany');
SELECT * FROM country;
SELECT d FROM differences('country') d WHERE d !~ 'said|touch';

-- Policies.
CREATE ROLE ddl_bob LOGIN;
CREATE ROLE ddl_amy LOGIN;
CREATE TABLE doc (id integer PRIMARY KEY, owner name DEFAULT current_user, country text, body text);
GRANT ALL ON doc, country TO ddl_bob, ddl_amy;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON doc USING (owner = current_user);
SELECT create_distributed_table('doc', 'id', shard_count => 3);
CREATE POLICY known ON doc AS RESTRICTIVE FOR INSERT TO ddl_bob WITH CHECK (EXISTS (SELECT FROM country WHERE code = doc.country));
CREATE POLICY tenant ON doc FOR SELECT USING (body = current_setting('ddl.body', true));
SELECT d FROM differences('doc') d WHERE d !~ 'known';
INSERT INTO doc VALUES (1, 'ddl_bob', 'de', 'b'), (2, 'ddl_amy', 'de', 'a'), (3, 'ddl_bob', 'de', 'c'), (4, 'nobody', 'de', 'n');
SET ROLE ddl_bob;
SELECT * FROM doc ORDER BY id;
SELECT * FROM doc WHERE id = 2;
SELECT count(*) FROM doc a JOIN doc b ON a.country = b.country;
INSERT INTO doc VALUES (5, 'ddl_bob', 'de', 'new');
INSERT INTO doc VALUES (6, 'ddl_bob', 'xx', 'new');
INSERT INTO doc VALUES (6, 'ddl_amy', 'de', 'new');
UPDATE doc SET body = 'changed';
UPDATE doc SET owner = 'ddl_amy' WHERE id = 1;
DELETE FROM doc WHERE id = 2;
COPY (SELECT * FROM doc ORDER BY id) TO stdout;
SET ddl.body = 'n';
SELECT count(*) FROM doc;
BEGIN;
SET LOCAL ddl.body = 'a';
SELECT id FROM doc WHERE owner <> current_user;
ROLLBACK;
SELECT id FROM doc WHERE owner <> current_user;
SET row_security = off;
SELECT count(*) FROM doc;
RESET ROLE;
RESET row_security;
SELECT * FROM doc ORDER BY id;
ALTER POLICY own ON doc TO ddl_amy USING (owner <> current_user);
ALTER POLICY own ON doc RENAME TO others;
SELECT d FROM differences('doc') d WHERE d !~ 'known';
CREATE POLICY reads ON doc USING (EXISTS (SELECT FROM pg_class WHERE relname = body));
CREATE VIEW mine AS SELECT id, body FROM doc WHERE id < 100;
GRANT SELECT ON mine TO ddl_bob;
SET ROLE ddl_bob;
SELECT * FROM mine ORDER BY id;
SELECT count(*) FROM mine WHERE id = 2;
RESET ROLE;
-- A view of a role that policies hold for: they are the role's, but the user is who is asking.
GRANT SELECT, UPDATE ON doc TO ddl_amy, ddl_bob;
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/plan_of.sql'
\set ECHO none
\i :helpers
\set ECHO all
SET ROLE ddl_amy;
CREATE TEMP VIEW seen AS SELECT id, owner, body FROM doc;
GRANT SELECT, UPDATE ON seen TO ddl_bob;
SELECT * FROM seen ORDER BY id;
SET ROLE ddl_bob;
SELECT * FROM seen ORDER BY id;
SELECT owner, count(*) FROM seen GROUP BY owner ORDER BY owner;
SELECT s.id, m.body FROM seen s JOIN mine m USING (id) WHERE s.id > 1 ORDER BY s.id;
SELECT plan_of('SELECT id FROM seen WHERE id = 4');
UPDATE seen SET body = 'x';
RESET ROLE;
BEGIN;
UPDATE doc SET body = 'written' WHERE id = 4;
SET LOCAL ROLE ddl_bob;
SELECT id, body FROM seen WHERE id = 4;
ROLLBACK;
DROP VIEW seen;
ALTER TABLE doc FORCE ROW LEVEL SECURITY;
SET ROLE ddl_bob;
SELECT count(*) FROM mine;
RESET ROLE;
-- also where they are forced upon the owner
ALTER TABLE doc OWNER TO ddl_amy;
SET ROLE ddl_amy;
CREATE TEMP VIEW seen AS SELECT id, owner, body FROM doc;
GRANT SELECT ON seen TO ddl_bob;
SELECT * FROM seen ORDER BY id;
SET ROLE ddl_bob;
SELECT * FROM seen ORDER BY id;
SELECT owner, count(*), max(body) FROM seen WHERE id < 5 GROUP BY owner ORDER BY owner;
SELECT plan_of('SELECT id FROM seen WHERE id = 4');
RESET ROLE;
DROP VIEW seen;
ALTER TABLE doc OWNER TO CURRENT_USER;
DROP POLICY others ON doc;
ALTER TABLE doc NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
SELECT d FROM differences('doc') d WHERE d !~ 'known';

-- Views and rules.
INSERT INTO mine VALUES (7, 'by view');
UPDATE mine SET body = 'seen' WHERE id = 7 RETURNING *;
DELETE FROM mine WHERE id = 7;
CREATE VIEW checked AS SELECT * FROM mine WHERE id > 0 WITH CHECK OPTION;
INSERT INTO checked VALUES (0, 'no');
CREATE RULE archive AS ON DELETE TO doc DO INSTEAD UPDATE doc SET body = 'deleted' WHERE id = old.id;
DELETE FROM doc WHERE id = 3;
SELECT id, body FROM doc WHERE id = 3;
DROP RULE archive ON doc;
CREATE VIEW joined AS SELECT d.id, d.body, c.name FROM doc d JOIN country c ON c.code = d.country;
CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO doc (id, body, country) VALUES (NEW.id, NEW.body, 'de'); RETURN NEW; END$$;
CREATE TRIGGER put INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION put();
INSERT INTO joined VALUES (8, 'by trigger');
SELECT * FROM joined ORDER BY id;
-- What a trigger's function names without a schema is found by the session's search_path.
CREATE SCHEMA ddl_app;
CREATE TABLE ddl_app.noted (id integer, what text);
SELECT create_distributed_table('ddl_app.noted', 'id', colocate_with => 'doc');
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO noted VALUES (NEW.id, TG_OP); RETURN NULL; END$$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON doc FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO doc (id, body, country) VALUES (20, 'not found', 'de');
SET search_path = ddl_app, public;
INSERT INTO doc (id, body, country) VALUES (20, 'one', 'de');
INSERT INTO doc (id, body, country) VALUES (21, 'several', 'de'), (22, 'several', 'de');
COPY doc (id, body, country) FROM stdin;
23	copied	de
\.
UPDATE doc SET body = 'all' WHERE id > 19;
UPDATE doc SET id = id + 10 WHERE id = 23;
SELECT * FROM noted ORDER BY id, what COLLATE "C";
-- So is what functions of constraints, policies and indexes name.
CREATE FUNCTION is_short(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length($1) < 8';
CREATE FUNCTION fits(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN is_short($1); END';
CREATE FUNCTION fold(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
CREATE FUNCTION folded(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT fold($1)';
CREATE TABLE said (id integer, what text CHECK (fits(what)));
SELECT create_distributed_table('said', 'id');
INSERT INTO said VALUES (1, 'one');
INSERT INTO said VALUES (2, 'Two'), (3, 'Three');
INSERT INTO said VALUES (4, 'far too long');
COPY said FROM stdin;
4	Four
\.
CREATE INDEX said_folded ON said (folded(what));
ALTER TABLE said ADD CONSTRAINT folds CHECK (folded(what) <> 'four') NOT VALID;
ALTER TABLE said VALIDATE CONSTRAINT folds;
UPDATE said SET what = 'Five' WHERE id = 4;
ALTER TABLE said VALIDATE CONSTRAINT folds;
CREATE INDEX CONCURRENTLY said_fits ON said (fits(what));
ALTER TABLE said ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON said USING (folded(what) <> 'two');
GRANT USAGE ON SCHEMA ddl_app TO ddl_amy;
GRANT SELECT, UPDATE ON said TO ddl_amy;
SET ROLE ddl_amy;
SELECT * FROM said ORDER BY id;
UPDATE said SET what = upper(what) WHERE id = 3;
UPDATE said SET what = 'two' WHERE id = 3;
RESET ROLE;
VACUUM ANALYZE said;
REINDEX TABLE said;
RESET search_path;
SELECT * FROM ddl_app.said WHERE id = 2;
INSERT INTO ddl_app.said VALUES (6, 'six');
ALTER FUNCTION ddl_app.fits SET search_path = ddl_app;
ALTER FUNCTION ddl_app.folded SET search_path = ddl_app;
INSERT INTO ddl_app.said VALUES (6, 'six');
SELECT id, what FROM ddl_app.said ORDER BY id;
DROP TABLE ddl_app.said;
DROP FUNCTION ddl_app.is_short, ddl_app.fits, ddl_app.fold, ddl_app.folded;
RESET search_path;
-- COPY knows no rules: not where an INSERT has to take its place.
CREATE TABLE ruled (id integer PRIMARY KEY, name text, touched boolean);
SELECT create_reference_table('ruled');
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.touched := true; RETURN NEW; END$$;
CREATE TRIGGER mark BEFORE INSERT ON ruled FOR EACH ROW EXECUTE FUNCTION mark();
CREATE RULE none AS ON INSERT TO ruled DO INSTEAD NOTHING;
COPY ruled (id, name) FROM stdin;
1	refused
\.
ALTER TABLE ruled DISABLE RULE none;
COPY ruled (id, name) FROM stdin;
2	copied
\.
SELECT * FROM ruled;
DROP TABLE ruled;
DROP FUNCTION mark;
-- Conditions of domains within values that are read run as the domain's owner.
CREATE FUNCTION holds(integer) RETURNS boolean LANGUAGE plpgsql AS
$$BEGIN RAISE NOTICE 'looked at by %', current_user; RETURN true; END$$;
CREATE DOMAIN held AS integer CHECK (holds(VALUE));
ALTER DOMAIN held OWNER TO ddl_amy;
CREATE TYPE pair AS (a held, b integer);
CREATE TABLE pairs (k integer, p pair, many held[]);
SELECT create_distributed_table('pairs', 'k', shard_count => 2);
SET client_min_messages = warning;
INSERT INTO pairs VALUES (1, (3, 4), '{5}');
RESET client_min_messages;
SELECT p FROM pairs;
SELECT many FROM pairs;
SET client_min_messages = warning;
DROP TABLE pairs;
DROP TYPE pair;
DROP DOMAIN held;
DROP FUNCTION holds;
DROP TABLE doc, country, ddl_app.noted CASCADE;
DROP SCHEMA ddl_app;
DROP FUNCTION touch, shift, say, put, note, differences, describe_query CASCADE;
DROP OWNED BY ddl_bob, ddl_amy;
DROP ROLE ddl_bob, ddl_amy;
DROP EXTENSION pgcluster;
