-- Calls by hand, by a user with no rights, of every function that anybody may
-- call: with nulls and with junk of each argument's type, as constants, from
-- columns and in FROM.  Nothing may crash, and no error is an internal one.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcluster;
CREATE ROLE regress_pgcluster_guest;
CREATE SCHEMA hostile AUTHORIZATION regress_pgcluster_guest;
SET ROLE regress_pgcluster_guest;
SET search_path = hostile, pg_catalog;
CREATE TABLE own (id integer PRIMARY KEY, v text, p point);
INSERT INTO own VALUES (1, 'one', '(1,1)');
CREATE DOMAIN hostile.positive AS integer CHECK (VALUE > 0);
CREATE TYPE hostile.mood AS ENUM ('good', 'bad');

-- What each type of an argument is given; of "anyelement" and the like one of several types.
CREATE TABLE junk (type text, value text);
INSERT INTO junk VALUES
    ('integer', '0'), ('integer', '-1'), ('integer', '1'), ('integer', '2147483647'), ('integer', '-2147483648'),
    ('smallint', '-32768'), ('smallint', '1'),
    ('bigint', '0'), ('bigint', '-9223372036854775808'), ('bigint', '9223372036854775807'),
    ('oid', '0'), ('oid', '1259'), ('oid', '4294967295'),
    ('text', quote_literal('')), ('text', quote_literal('hostile.own')), ('text', quote_literal('regress_pgcluster_guest')),
    ('text', quote_literal('pgcluster_0_1-1_2.3')), ('text', quote_literal('pg_authid')), ('text', $$repeat('x', 100000)$$),
    ('name', quote_literal('p')), ('name', quote_literal('')), ('"char"', $$'h'$$), ('"char"', $$'r'$$), ('"char"', $$''$$),
    ('boolean', 'true'), ('boolean', 'false'), ('numeric', $$'NaN'$$), ('numeric', '1e1000'), ('numeric', '-0.5'),
    ('double precision', $$'NaN'$$), ('double precision', $$'-Infinity'$$), ('double precision', '1e308'),
    ('pg_lsn', $$'0/0'$$), ('pg_lsn', $$'FFFFFFFF/FFFFFFFF'$$),
    ('timestamp with time zone', $$'-infinity'$$), ('interval', $$'-178000000 years'$$), ('jsonb', $$'{"a": [null]}'$$),
    ('regclass', '0'), ('regclass', $$'hostile.own'$$), ('regclass', $$'pg_class'$$), ('regclass', '4294967295'),
    ('regcollation', '0'), ('regcollation', $$'"C"'$$), ('regcollation', '4294967295'),
    ('regtype', '0'), ('regtype', $$'point'$$), ('regrole', '0'), ('regrole', '10'),
    ('regprocedure', '0'), ('regprocedure', '4294967295'), ('regprocedure', $$'pg_catalog.pg_reload_conf()'$$),
    ('regprocedure', $$'pg_catalog.version()'$$), ('regprocedure', $$'pg_catalog.int4abs(integer)'$$),
    ('regprocedure', $$'pg_catalog.generate_series(integer, integer)'$$), ('regprocedure', $$'pg_catalog.sum(integer)'$$),
    ('bytea', $$''$$), ('bytea', $$'\x00'$$), ('bytea', $$'\xffff'$$), ('bytea', $$'\xffff000000010000000001'$$),
    ('bytea', $$'\xffffffffffffffffffffff'$$), ('bytea', $$'\x000100ffffffff'$$), ('bytea', $$'\x00010100000004'$$),
    ('bytea', $$'\x0001007fffffff31'$$), ('bytea', $$'\x00010000000001ff'$$), ('bytea', $$'\x0001000000000231ff'$$),
    ('bytea', $$'\x00000000000000017fffffff7fffffff'$$),
    ('bytea', $$decode('0000000000000001' || repeat('00000001' || '7fffffff' || '0000000000000000' || 'ffff', 2) || repeat('00', 36), 'hex')$$),
    ('bytea', $$decode('0000000000000001' || repeat('00000001' || '00000000' || '0000000000000000' || 'ffff', 2) || repeat('00', 36), 'hex')$$),
    ('bytea', $$decode('ffffffffffffffff' || repeat('00000001' || '00000000' || '0000000000000000' || '0001', 2) || repeat('ff', 36), 'hex')$$),
    ('bytea', $$decode(repeat('5a', 10000), 'hex')$$),
    ('text[]', $$'{}'$$), ('text[]', $$'{NULL}'$$), ('text[]', $$'{{id,v},{v,id}}'$$), ('text[]', $$'{id}'$$), ('text[]', $$'[-1:0]={id,v}'$$),
    ('integer[]', $$'{}'$$), ('integer[]', $$'{NULL}'$$), ('integer[]', $$'{2147483647}'$$), ('integer[]', $$'{{1,2},{3,4}}'$$),
    ('integer[]', $$'{5,1}'$$), ('bigint[]', $$'{}'$$), ('bigint[]', $$'{NULL}'$$), ('bigint[]', $$'{-1}'$$), ('bigint[]', $$'{{1,2},{3,4}}'$$),
    ('bigint[]', $$'{1,2}'$$),
    ('double precision[]', $$'{}'$$), ('double precision[]', $$'{1,2,3}'$$), ('double precision[]', $$'{NULL,1,2}'$$),
    ('double precision[]', $$'{{1,2,3},{4,5,6}}'$$), ('double precision[]', $$'{-1,NaN,Infinity}'$$),
    ('double precision[]', $$'{-1,2,3,4,5,6}'$$), ('double precision[]', $$'{1e308,1e308,1e308,NaN,-Infinity,0}'$$),
    ('anyelement', '1'), ('anyelement', $$'x'::text$$), ('anyelement', $$'(1,2)'::point$$), ('anyelement', $$'{}'::json$$),
    ('anyelement', $$'{1,2}'::integer[]$$), ('anyelement', $$'{"(1,2)"}'::point[]$$), ('anyelement', 'ROW(1, NULL)'),
    ('anyelement', $$ROW(1, 'x', NULL)::hostile.own$$), ('anyelement', '1::hostile.positive'), ('anyelement', $$'bad'::hostile.mood$$),
    ('anyelement', $$'[1,2)'::int4range$$), ('anyelement', 'NULL::integer'), ('anyelement', 'NULL::hostile.own'), ('anyelement', $$'a'::"char"$$),
    ('"any"', $$'unknown'$$), ('"any"', '-1'), ('"any"', $$ROW(1, 2)$$), ('"any"', $$'{1}'::integer[]$$), ('"any"', 'NULL');
CREATE TABLE missing (type text);
CREATE TABLE outcome (function text, call text, state text, message text);

-- The arguments of one call: "variant" chooses, in another order for each of them.
CREATE FUNCTION arguments(types oidvector, variant integer, OUT list text, OUT columns text) LANGUAGE plpgsql AS $$
DECLARE
    kind text;
    choices text[];
BEGIN
    list := '';
    columns := '';
    FOR i IN 0 .. cardinality(types::oid[]) - 1 LOOP
        kind := format_type(types[i], NULL);
        SELECT array_agg(CASE WHEN j.type LIKE '%any%' THEN value ELSE value || '::' || j.type END ORDER BY j.ctid)
            INTO choices FROM junk j WHERE j.type = kind;
        IF choices IS NULL AND kind NOT IN ('internal', 'anyarray') THEN
            INSERT INTO missing SELECT kind WHERE NOT EXISTS (SELECT FROM missing m WHERE m.type = kind);
        END IF;
        choices := array_append(choices, 'NULL' || CASE WHEN kind NOT LIKE '%any%' AND kind <> 'internal' THEN '::' || kind ELSE '' END);
        list := list || CASE WHEN i > 0 THEN ', ' ELSE '' END || choices[1 + variant / (CASE i WHEN 0 THEN 1 ELSE 2 * i + 1 END) % cardinality(choices)];
        columns := columns || CASE WHEN i > 0 THEN ', ' ELSE '' END || 'v.a' || i + 1;
    END LOOP;
END
$$;

CREATE PROCEDURE try(function text, call text) LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    EXECUTE call;
    INSERT INTO outcome VALUES (function, call, '00000', '');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT;
    INSERT INTO outcome VALUES (function, call, SQLSTATE, said);
END
$$;

DO $$
DECLARE
    f record;
    a record;
    name text;
BEGIN
    FOR f IN
        SELECT p.oid, format('%I.%I', n.nspname, p.proname) AS name, p.prokind, p.proargtypes, p.pronargs
        FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
            AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgcluster')
            AND has_function_privilege(p.oid, 'EXECUTE')
        ORDER BY p.oid
    LOOP
        name := f.oid::regprocedure;
        FOR variant IN 0 .. 23 LOOP
            a := arguments(f.proargtypes, variant);
            CALL try(name, format('SELECT %s(%s)', f.name, a.list));
            CONTINUE WHEN f.pronargs = 0;
            -- The planner knows nothing of these.
            CALL try(name, format('SELECT %s(%s) FROM (SELECT %s FROM generate_series(1, 3) OFFSET 0) AS v (%s)',
                f.name, a.columns, a.list, replace(a.columns, 'v.', '')));
            CONTINUE WHEN variant % 4 > 0;
            CALL try(name, format('SELECT FROM hostile.own WHERE %s(%s) IS NOT NULL', f.name, a.list));
            IF f.prokind = 'a' THEN
                CALL try(name, format('SELECT %s(%s) OVER (ORDER BY i) FROM generate_series(1, 3) i', f.name, a.list));
                CALL try(name, format('SELECT %s(DISTINCT %s) FROM generate_series(1, 3) i', f.name, a.list));
            ELSE
                CALL try(name, format('SELECT * FROM %s(%s) AS v (a integer)', f.name, a.list));
                CALL try(name, format('SELECT * FROM %s(%s) AS v (a text, b hostile.positive, c point)', f.name, a.list));
                CALL try(name, format('SELECT * FROM hostile.own, LATERAL (SELECT %s(%s) WHERE id > 0) AS v', f.name, a.list));
            END IF;
        END LOOP;
    END LOOP;
END
$$;
SELECT count(DISTINCT function) > 40 AS functions, count(*) > 1000 AS calls FROM outcome;
-- Types of arguments that nobody has thought of yet.
SELECT type FROM missing ORDER BY type;
-- Internal errors; those of the server's own functions are not ours.
SELECT DISTINCT function, state, message
FROM outcome
WHERE state LIKE 'XX%' AND message NOT LIKE 'float8_%combine: expected _-element float8 array'
ORDER BY 1, 2, 3;

-- Those that mattered.  A type without a hash function.
\set VERBOSITY terse
SELECT pgcluster.keep_key('(1,2)'::point, 0, 1);
CREATE TRIGGER keep BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION pgcluster.keep_in_shard('p', '0', '1');
INSERT INTO own VALUES (2, 'two', '(2,2)');
CREATE OR REPLACE TRIGGER keep BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION pgcluster.keep_in_shard('nothing', '0', '1');
INSERT INTO own VALUES (2, 'two', '(2,2)');
DROP TRIGGER keep ON own;

-- Shells of one's own.
SELECT pgcluster.make_shell('own', 'h', 'p', 1, '{1}', '{2147483647}', '{1}');
SELECT pgcluster.make_shell('own', 'h', 'id', 1, '{1,2}', '{5,1}', '{1,1}');
SELECT pgcluster.make_shell('own', 'h', 'id', 1, '{1}', '{0}', '{1}');
SELECT pgcluster.make_shell('own_pkey', 'h', 'id', 1, '{1}', '{2147483647}', '{1}');
SELECT pgcluster.make_shell('pg_class', 'r', NULL, 1, '{1}', '{2147483647}', '{1}');

-- Functions of users that are called while the rows of an exchange are read.
CREATE FUNCTION ends(integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pgcluster.exchange_end(1); RETURN true; END';
CREATE FUNCTION begins(integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pgcluster.exchange_begin(1, 1); RETURN true; END';
CREATE FUNCTION adds(integer) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM pgcluster.exchange_put(1, 0, '\x00', 1); RETURN true; END$$;
CREATE FUNCTION ends_as_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pgcluster.exchange_end(1); RETURN NEW; END';
CREATE DOMAIN ending AS integer CHECK (ends(VALUE));
CREATE DOMAIN beginning AS integer CHECK (begins(VALUE));
CREATE DOMAIN adding AS integer CHECK (adds(VALUE));
CREATE TYPE ending_row AS (i ending);
CREATE TYPE beginning_row AS (i beginning);
CREATE TYPE adding_row AS (i adding);
BEGIN;
SELECT pgcluster.exchange_begin(1, 2);
SELECT pgcluster.exchange_put(1, 0, decode(repeat('000000090001' || '00000003' || '283129', 3), 'hex'), 3);
SAVEPOINT s;
SELECT * FROM pgcluster.rows('\xffff000000010000000000') AS r (a ending_row);
ROLLBACK TO s;
SELECT * FROM pgcluster.rows('\xffff000000010000000000') AS r (a beginning_row);
ROLLBACK TO s;
SELECT * FROM pgcluster.rows('\xffff000000010000000000') AS r (a adding_row);
ROLLBACK TO s;
SELECT * FROM pgcluster.rows('\xffff000000010000000000') AS r (a text);
CREATE TABLE target (a integer);
CREATE TRIGGER t BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION ends_as_trigger();
SELECT pgcluster.exchange_put(1, 1, '\x0000000a00010000000400000001', 1);
SAVEPOINT s;
SELECT pgcluster.exchange_copy(1, 1, 'hostile.target', '{a}');
ROLLBACK TO s;
SELECT pgcluster.exchange_copy(1, 1, 'pgcluster.shell', '{relid}');
ROLLBACK TO s;
DROP TRIGGER t ON target;
SELECT pgcluster.exchange_copy(1, 1, 'hostile.target', '{a}');
SELECT pgcluster.exchange_end(1);
COMMIT;

-- Values are those of any client: no zero within a text, no day that there is not.
BEGIN;
SELECT pgcluster.exchange_begin(1, 2);
SELECT pgcluster.exchange_put(1, 0, '\x000000080001000000026100', 1);
SELECT pgcluster.exchange_put(1, 1, '\x0000000a0001000000047ffffffe', 1);
\set VERBOSITY sqlstate
SAVEPOINT s;
SELECT * FROM pgcluster.rows('\xffff000000010000000000') AS r (a text);
ROLLBACK TO s;
SELECT * FROM pgcluster.rows('\xffff000000010000000001') AS r (a text);
ROLLBACK TO s;
SELECT * FROM pgcluster.rows('\xffff000000010000000101') AS r (a date);
ROLLBACK;
SELECT * FROM pgcluster.rows('\x000100000000026100') AS r (a text);
\set VERBOSITY terse

-- What a statement says of itself.
/*packed rows*/ /*by part*/ SELECT 1::bigint << 32;
BEGIN;
SELECT pgcluster.exchange_begin(1, 2);
/*packed rows*/ /*by part*/ SELECT 1::bigint << 32 | 2;
ROLLBACK;
SET pgcluster.statement_snapshot = 2;
SELECT 1;
SET pgcluster.statement_snapshot = -2147483647;
RESET pgcluster.statement_snapshot;
BEGIN;
SET LOCAL pgcluster.decision = 'hostile';
COMMIT;

-- Nobody decides for others, or goes on as another.
\set VERBOSITY sqlstate
SELECT pgcluster.resolve_decision('pgcluster_0_1-1_2.3', session_user);
\set VERBOSITY terse
SELECT pgcluster.vouch(pg_backend_pid(), 'regress_pgcluster_guest');
SELECT pgcluster.act_as(session_user, pgcluster.vouch(pg_backend_pid(), session_user));
SELECT pgcluster.act_as(NULL, NULL);
SELECT current_user;

RESET ROLE;
SELECT count(*) FROM pgcluster.shell WHERE relid::text LIKE '%hostile%';
DROP SCHEMA hostile CASCADE;
DROP OWNED BY regress_pgcluster_guest;
DROP ROLE regress_pgcluster_guest;
DROP EXTENSION pgcluster;
