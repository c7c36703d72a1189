-- types of expressions
SELECT user_id, pg_typeof(u), pg_typeof(u.tags), pg_typeof(profile), pg_typeof(user_id + 0.5) FROM users u WHERE user_id < 3;

-- types of expressions, as groups
SELECT pg_typeof(value), pg_typeof(sum(n))::text, count(*) FROM kv GROUP BY 1;

-- numbers that are those of types
SELECT k, (k + 16)::oid::regtype, (k + 16)::oid::regtype::text FROM r1 WHERE k < 5;

-- what a user may do with tables that are named by data
SELECT n, has_table_privilege(CASE WHEN n % 2 = 0 THEN 'regions' ELSE 'kv' END, 'SELECT'), to_regclass(CASE n WHEN 3 THEN 'regions' WHEN 4 THEN 'nowhere' END) FROM kv WHERE n < 6;

-- objects as data: their numbers, names and types
-- dist only
BEGIN;
CREATE TYPE seen_kind AS ENUM ('a', 'b');
CREATE TABLE seen (k integer, kind seen_kind, c regclass, o oid, ty regtype, n text, ow regrole, f oid);
CREATE TABLE beside (k integer);
DO $$ BEGIN IF current_schema() <> 'plain' THEN PERFORM create_distributed_table('seen', 'k'); END IF; END $$;
INSERT INTO seen SELECT i, NULL, x::regclass, x::regclass, (ARRAY['integer', 'seen_kind', 'text'])[1 + i % 3]::regtype, x, 'postgres'::regrole, 'lower(text)'::regprocedure
FROM unnest(ARRAY['users', 'products', 'users', 'kv', 'gaps', 'pg_class']) WITH ORDINALITY t (x, i);
INSERT INTO seen VALUES (20, NULL, 'users', 'users'::regclass, 'seen_kind', 'beside', 'postgres', 'lower(text)'::regprocedure);
INSERT INTO seen VALUES (21, NULL, NULL, 'beside'::regclass, NULL, 'beside', NULL, NULL);
SELECT k FROM seen WHERE c = 'users'::regclass;
SELECT k FROM seen WHERE k = 20 AND o = 'users'::regclass;
SELECT k FROM seen WHERE k = 21 AND o = 'beside'::regclass;
SELECT k, c, o::regclass, o::regclass::text, c::oid = o, ty, to_regclass(n), n::regclass::text, format_type(ty, -1), f::regprocedure, pg_get_userbyid(ow::oid) FROM seen;
SELECT o::regclass::text, count(*) FROM seen GROUP BY 1;
SELECT c, count(*), count(DISTINCT ty) FROM seen GROUP BY c;
SELECT c FROM seen ORDER BY c LIMIT 3;
SELECT a.k, b.k FROM seen a JOIN seen b ON a.c = b.c;
SELECT relname, k FROM seen JOIN pg_class ON pg_class.oid = seen.o;
PREPARE p (regclass) AS SELECT k FROM seen WHERE c = $1;
EXECUTE p ('kv');
EXECUTE p ('users');
UPDATE seen SET o = 'beside'::regclass WHERE k = 3;
UPDATE seen SET o = c::oid, ty = 'seen_kind' WHERE k > 3 AND c IS NOT NULL;
DELETE FROM seen WHERE o = 'products'::regclass;
SELECT k, o::regclass, ty FROM seen;
ROLLBACK;

-- values with a collation that nodes do not have
-- dist only
BEGIN;
CREATE COLLATION seen_here (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE TABLE beside (k integer, x text COLLATE seen_here);
INSERT INTO beside VALUES (1, 'user Q');
SELECT k, (SELECT x FROM beside) FROM r1;
SELECT k FROM r1 WHERE k = 3 AND (SELECT x FROM beside) = 'USER q';
SELECT user_id, (SELECT x FROM beside) FROM users WHERE user_id = 3;
SELECT user_id FROM users WHERE name <> (SELECT x FROM beside) COLLATE "C" AND user_id < 5;
ROLLBACK;
