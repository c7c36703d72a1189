-- arrays: elements, slices, functions
SELECT k, a[1], a[1:2], array_length(a, 1), a || 9, array_position(a, 1), array_to_string(a, ',', '-') FROM r1;

-- arrays: compared
SELECT k FROM r2 WHERE a @> ARRAY[1] OR a = '{}' OR a < '{1}';

-- arrays: sorted and grouped
SELECT a, min(k) FROM r2 GROUP BY a;

-- arrays of a subquery
SELECT k, ARRAY(SELECT unnest(a) ORDER BY 1 DESC) FROM r2 WHERE k < 8;

-- multidimensional ones
SELECT ia, array_dims(ia), ia[1][2] FROM types WHERE ia IS NOT NULL;

-- jsonb operators
SELECT user_id, profile -> 'opts' ->> 'dark', profile #>> '{opts,dark}', profile ? 'nick', profile @> '{"level": 3}', profile - 'opts' FROM users;

-- jsonb in conditions and groups
SELECT profile -> 'level' AS l, count(*) FROM users WHERE profile ->> 'nick' LIKE 'n%' GROUP BY 1;

-- jsonb that is changed and subscripted
SELECT user_id, jsonb_set(profile, '{level}', '99'), profile['opts']['dark'] FROM users WHERE user_id < 6;

-- jsonb paths with variables
SELECT user_id FROM users WHERE jsonb_path_exists(profile, '$.level ? (@ == $x)', '{"x": 4}');

-- json built from rows
SELECT jsonb_build_object('k', k, 's', s, 'a', a), json_build_array(k, v, NULL) FROM r1 WHERE k < 5;

-- ranges
SELECT i8, r, lower(r), upper(r), isempty(r), r @> 5, r && int4range(3, 6), r * int4range(2, 8) FROM types WHERE r IS NOT NULL;

-- ranges joined
SELECT a.i2, b.i2 FROM types a JOIN types b ON a.r && b.r AND a.i2 < b.i2;

-- multiranges
SELECT s, range_agg(int4range(k, k + 2)) FROM r2 GROUP BY s;

-- multiranges, compared
SELECT k FROM r2 WHERE int4multirange(int4range(1, 3), int4range(6, 8)) @> k;

-- dates and intervals
SELECT k, d + 1, d - date '2024-02-20', d + interval '1 month', age(d, '2020-02-29'), date_trunc('month', d), extract(dow FROM d), date_part('week', d) FROM r1;

-- time zones
SELECT at, at AT TIME ZONE 'America/New_York', date_trunc('day', at, 'Asia/Tokyo') FROM events WHERE kind = 'start';

-- the session's time zone
SET timezone = 'Australia/Adelaide';
SELECT at, at::date, at::time, date_trunc('hour', at) FROM events WHERE kind = 'stop';
SELECT at::date, count(*) FROM events GROUP BY 1;
SELECT count(*) FROM events WHERE at > '2024-02-29 12:00';
SELECT count(*) FROM events WHERE at::date = '2024-02-29';

-- ... in the middle of a session
SELECT min(at) FROM events;
SET timezone = 'UTC';
SELECT min(at) FROM events;
SET timezone = 'Europe/Berlin';
SELECT min(at) FROM events;

-- DateStyle
SET datestyle = 'SQL, DMY';
SELECT d, ts, tz FROM types;
SELECT count(*) FROM r1 WHERE d = '29/02/2024';
SET datestyle = 'German';
SELECT d::text, count(*) FROM r1 GROUP BY d::text;

-- IntervalStyle
SET intervalstyle = 'sql_standard';
SELECT iv, iv::text FROM types;
SET intervalstyle = 'postgres_verbose';
SELECT max(iv)::text FROM types;

-- extra_float_digits
SET extra_float_digits = -3;
SELECT f4, f8, f8::text FROM types;
SELECT f8::text, count(*) FROM types GROUP BY 1;
SET extra_float_digits = 3;
SELECT f4, f8 / 3 FROM types WHERE i2 > 0;

-- bytea_output
SET bytea_output = 'escape';
SELECT b, b::text FROM types;
SET bytea_output = 'hex';
SELECT b, encode(b, 'base64'), substring(b from 2 for 2) FROM types;

-- lc_monetary and lc_numeric
SET lc_monetary = 'C'; SET lc_numeric = 'C';
SELECT k, n::money, to_char(n, 'L999D99') FROM r1;

-- default_text_search_config and full text
SET default_text_search_config = 'english';
SELECT user_id FROM users WHERE to_tsvector(name) @@ to_tsquery('user');
SELECT product_id, ts_rank(to_tsvector('simple', name), to_tsquery('simple', 'product')) > 0 FROM products WHERE to_tsvector('simple', name) @@ plainto_tsquery('simple', 'product 3');

-- xmlbinary, xmloption
SET xmlbinary = 'hex';
SELECT xmlelement(name b, b) FROM types WHERE i2 < 0;

-- numeric: precision, NaN, infinity
SELECT n, n::numeric(20,2), n * 3, round(n, 1), n = 'NaN', n > 1000 FROM types;

-- floats that are equal to numerics
SELECT k FROM r1 WHERE n = 2.5::float8 OR n = 1.75::real;

-- integer types together
SELECT i2, i8, i2 + i8, i2 * 1.5, i8 % 7, i2 & 3, i2 << 2, i8::int2 FROM types WHERE i8 < 30000;

-- overflow
-- fails: 22003
SELECT i8::int2 FROM types;

-- char pads, varchar does not
SELECT c, length(c), c || 'x', v, c = 'c1', c::text = 'c1' FROM types;

-- text: patterns
SELECT name FROM users WHERE name ~ 'A\d' OR name ILIKE '%b2%' OR name SIMILAR TO 'user (C|D)%';

-- text: functions
SELECT k, s, md5(s), reverse(s), repeat(s, 2), lpad(s, 4, '*'), split_part(s, 's', 2), format('%s-%I-%L', k, s, s), translate(s, 's', 'z'), ascii(s), initcap(s), strpos(s, '3') FROM r1;

-- text: quotes, backslashes, tabs and unicode
SELECT device, t FROM events, types WHERE device LIKE 'Ü%' AND i2 = 1;

-- bit strings
SELECT bits, length(bits), bits | bits, bits::bit(4) FROM types;

-- inet
SELECT ip, host(ip), masklen(ip), ip << '10.0.0.0/8', network(ip) FROM types;

-- geometry
SELECT pt, pt <-> point(0, 0), circle(pt, 1) @> point(3, -3) FROM types;

-- uuid
SELECT id, i2 FROM types WHERE id > '00000000-0000-4000-8000-000000000009' ORDER BY id LIMIT 3;

-- rows compared
SELECT k FROM r1 WHERE (v, s) > (3, 's2') AND (k, v, n) <= (20, 5, 3) AND ROW (v, s) IS DISTINCT FROM ROW (4, 's4');

-- rows with nulls
SELECT k, (v, s) IS NULL, (v, s) IS NOT NULL, (v, s) = (v, s) FROM r1;

-- row fields of a subquery
SELECT (x.r).f1, (x.r).f2 FROM (SELECT ROW (k, s) AS r FROM r1 WHERE k < 3) x LIMIT 0;

-- an enum and a domain of the session
BEGIN;
CREATE TYPE pg_temp.mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN pg_temp.small AS int CHECK (VALUE < 100);
SELECT k, CASE WHEN v > 5 THEN 'happy' WHEN v > 2 THEN 'ok' ELSE 'sad' END::pg_temp.mood FROM r1;
SELECT k::pg_temp.small, max(v::pg_temp.small) FROM r2 GROUP BY 1;
SELECT k FROM r1 WHERE CASE WHEN v > 5 THEN 'happy' ELSE 'sad' END::pg_temp.mood > 'ok';
SELECT count(*), (CASE WHEN v > 5 THEN 'happy' ELSE 'sad' END)::pg_temp.mood AS m FROM r1 GROUP BY 2 ORDER BY 2;
ROLLBACK;

-- a domain whose check fails
-- fails: 23514
BEGIN;
CREATE DOMAIN pg_temp.small AS int CHECK (VALUE < 10);
SELECT k::pg_temp.small FROM r1;
ROLLBACK;

-- a composite type of the session
BEGIN;
CREATE TYPE pg_temp.pair AS (a int, b text);
SELECT ROW (k, s)::pg_temp.pair, (ROW (k, s)::pg_temp.pair).b FROM r1 WHERE k < 4;
SELECT p FROM (SELECT ROW (v, s)::pg_temp.pair AS p FROM r2) x WHERE (p).a = 2;
SELECT ROW (v, s)::pg_temp.pair, count(*) FROM r2 GROUP BY 1;
ROLLBACK;

-- a cast and an operator of the session
BEGIN;
CREATE FUNCTION pg_temp.near(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2) <= 1';
CREATE OPERATOR public.~~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = pg_temp.near);
SELECT a.k, b.k FROM r1 a JOIN r5 b ON a.k OPERATOR(public.~~~~) b.k WHERE a.k < 9;
SELECT k FROM r2 WHERE v OPERATOR(public.~~~~) 3;
ROLLBACK;

-- regclass and other names
SELECT DISTINCT 'r1'::regclass = tableoid, 'int4'::regtype, pg_typeof(k), pg_typeof(a) FROM r1;

-- oids and system functions
SELECT k, pg_column_size(k), to_regclass('nowhere') FROM r1 WHERE k < 3;

-- GREATEST, LEAST, COALESCE, NULLIF over nulls
SELECT k, greatest(v, n, 3), least(v, NULL, k), coalesce(v, k % 2, 9), nullif(v, 3) FROM r2;

-- boolean tests
SELECT k, b IS TRUE, b IS NOT FALSE, b IS UNKNOWN, NOT b, b AND v > 3, b OR v IS NULL FROM r2;

-- CASE of all kinds
SELECT k, CASE v WHEN 1 THEN 'one' WHEN NULL THEN 'null' ELSE 'more' END, CASE WHEN b THEN v END FROM r2;

-- CASE keeps from dividing by zero
SELECT k, CASE WHEN v > 0 THEN 10 / v END FROM r2;

-- collations
SELECT s, s < 'S' COLLATE "C", s COLLATE "C" > 's3' FROM r4;

-- collations that clash
-- fails: 42P22
SELECT (s COLLATE "C") < (s COLLATE "POSIX") FROM r4;

-- values of unknown type
SELECT k, 'x', NULL, '1' || k FROM r1 WHERE s > 's2' AND k IN ('1', '2');

-- pg_typeof of results
SELECT DISTINCT pg_typeof(sum(v)), pg_typeof(avg(k)), pg_typeof(max(n)), pg_typeof(array_agg(s)), pg_typeof(count(*)) FROM r2;
