-- every type, one after the other
-- ordered
SELECT i2, i8, id FROM types ORDER BY i2, i8 DESC, id;
SELECT f4, f8, id FROM types ORDER BY f4 DESC, f8, id;
SELECT n, t, id FROM types ORDER BY n NULLS FIRST, t DESC NULLS LAST, id;
SELECT v, c, id FROM types ORDER BY v, c DESC, id;
SELECT b, id FROM types ORDER BY b DESC, id DESC;
SELECT d, ts, id FROM types ORDER BY d DESC NULLS LAST, ts, id;
SELECT tz, tm, id FROM types ORDER BY tz, tm NULLS FIRST, id;
SELECT iv, ip, id FROM types ORDER BY iv DESC, ip, id;
SELECT r, bits, id FROM types ORDER BY r, bits DESC, id;
SELECT ia, ja, id FROM types ORDER BY ia DESC, ja, id;
SELECT "Mixed Case", id FROM types ORDER BY "Mixed Case" DESC, id;

-- whole rows
-- ordered
SELECT * FROM orders ORDER BY total DESC NULLS LAST, order_id, user_id;
SELECT * FROM r2 ORDER BY d, v, k, s, n;

-- columns that are not shown
-- ordered
SELECT name FROM users ORDER BY born, user_id;

-- ordering operators by name
-- ordered
SELECT k, v, s FROM r1 ORDER BY v USING >, s USING <, k USING <;
SELECT s, k FROM r1 ORDER BY s USING ~<~, k;
SELECT s, k FROM r1 ORDER BY s USING ~>=~ NULLS FIRST, k;

-- collations by name
-- ordered
SELECT name, user_id FROM users ORDER BY name COLLATE "C" DESC, user_id;
SELECT name, user_id FROM users ORDER BY name COLLATE "POSIX", user_id;
SELECT country, user_id FROM users ORDER BY country COLLATE "C" NULLS FIRST, user_id DESC;
SELECT note, order_id, user_id FROM orders ORDER BY note COLLATE "en-x-icu", order_id, user_id;
SELECT note, order_id, user_id FROM orders ORDER BY note COLLATE "de-x-icu" DESC NULLS LAST, order_id, user_id;
SELECT name COLLATE "C", user_id FROM users ORDER BY 1, 2;

-- another collation of the same column in the condition
-- ordered
SELECT name FROM users WHERE name COLLATE "C" > 'user K' ORDER BY name COLLATE "en-x-icu", user_id;

-- expressions
-- ordered
SELECT user_id, lower(name) FROM users ORDER BY lower(name) DESC, user_id;
SELECT user_id FROM users ORDER BY born - date '2000-01-01', user_id;
SELECT user_id, -user_id FROM users ORDER BY 2;
SELECT user_id FROM users ORDER BY active DESC, user_id % 7, user_id;
SELECT user_id FROM users ORDER BY tags, user_id;
SELECT user_id FROM users ORDER BY profile, user_id;

-- rows that are there twice
-- ordered
SELECT v, s FROM r3 ORDER BY v, s;
SELECT v FROM r3 ORDER BY v DESC;

-- only some shards
-- ordered
SELECT * FROM r2 WHERE k IN (1, 5, 9) ORDER BY v, s, d, n, k;
SELECT * FROM r2 WHERE k = 5 ORDER BY v, s, d, n;
SELECT * FROM nothing ORDER BY v;

-- grouped, then sorted
-- ordered
SELECT status, count(*), sum(total) FROM orders GROUP BY status ORDER BY status;
SELECT user_id, count(*), sum(total) FROM orders GROUP BY user_id ORDER BY sum(total) DESC NULLS LAST, user_id;
SELECT date_trunc('month', ordered_at) m, count(DISTINCT user_id) FROM orders GROUP BY m ORDER BY m DESC;

-- grouped by sorted rows only
-- ordered
SET enable_hashagg = off;
SELECT s, count(*), sum(v) FROM r2 GROUP BY s ORDER BY s;
SELECT DISTINCT s, v FROM r2 ORDER BY s DESC, v;
SELECT DISTINCT ON (s) s, v, k, d FROM r3 ORDER BY s, v DESC NULLS LAST, k, d;

-- merge joins of streams of the same nodes
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT a.k, b.k, a.v FROM r1 a JOIN r2 b ON a.v = b.v;
SELECT a.k, b.k, a.v FROM r2 a LEFT JOIN r3 b ON a.v = b.v;
SELECT a.k, b.k, a.v FROM r2 a FULL JOIN r3 b ON a.v = b.v;
SELECT a.k, a.v FROM r2 a WHERE NOT EXISTS (SELECT FROM r3 b WHERE a.s = b.s);
SELECT a.k, b.k, c.k FROM r1 a JOIN r2 b ON a.v = b.v JOIN r3 c ON b.v = c.v;

-- windows over sorted streams
-- ordered
SELECT k, v, row_number() OVER (ORDER BY v NULLS FIRST, k, s) FROM r1 ORDER BY v NULLS FIRST, k;
SELECT k, v, sum(v) OVER (PARTITION BY s ORDER BY v, k) FROM r1 ORDER BY s, v, k;
SELECT k, first_value(k) OVER w, lag(v) OVER w FROM r1 WINDOW w AS (ORDER BY d DESC, k) ORDER BY d DESC, k;

-- in a subquery, and what an aggregate makes of it
SELECT string_agg(s, ',') FROM (SELECT s FROM r2 ORDER BY s DESC NULLS LAST, k) x;
SELECT array_agg(k) FROM (SELECT k FROM r1 ORDER BY v DESC, k LIMIT 7 OFFSET 2) x;

-- set operations of sorted branches
-- ordered
(SELECT k, s FROM r1 ORDER BY k LIMIT 4) UNION ALL (SELECT k, s FROM r1 ORDER BY k DESC LIMIT 4) ORDER BY 1, 2;
SELECT k, s FROM r1 UNION ALL SELECT v, s FROM r1 ORDER BY 1, 2;
SELECT k::bigint, s FROM r1 UNION ALL SELECT k, s FROM r3 ORDER BY 2 DESC, 1;

-- limits with and without ties
-- ordered
SELECT k, v FROM r1 ORDER BY v, k LIMIT 5;
SELECT k, v FROM r1 ORDER BY v DESC NULLS LAST, k OFFSET 15;
SELECT v FROM r2 ORDER BY v FETCH FIRST 6 ROWS WITH TIES;
SELECT v FROM r2 ORDER BY v DESC OFFSET 3 FETCH FIRST 4 ROWS WITH TIES;
SELECT k, v FROM r1 ORDER BY v, k LIMIT (SELECT count(*) FROM r6) / 2;

-- a cursor, both ways
-- ordered
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k, v FROM r1 ORDER BY v DESC, k;
FETCH 5 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH LAST FROM c;
FETCH FIRST FROM c;
COMMIT;

-- two cursors side by side
-- ordered
BEGIN;
DECLARE a CURSOR FOR SELECT k, v FROM r1 ORDER BY v DESC, k;
DECLARE b CURSOR FOR SELECT k, v FROM r1 ORDER BY v, k;
FETCH 3 FROM a;
FETCH 3 FROM b;
FETCH 3 FROM a;
FETCH ALL FROM b;
FETCH ALL FROM a;
COMMIT;

-- parameters
-- ordered
PREPARE q (int, text) AS SELECT k, v, s FROM r1 WHERE v > $1 AND s <> $2 ORDER BY v, k LIMIT 10;
EXECUTE q (1, 's1');
EXECUTE q (3, 's2');
SET plan_cache_mode = force_generic_plan;
EXECUTE q (2, 's3');
EXECUTE q (NULL, 's3');

-- rescanned beside another relation
SELECT a.k, x.k, x.v FROM r1 a, LATERAL (SELECT k, v FROM r2 WHERE r2.v <= a.v ORDER BY v DESC, k, s LIMIT 2) x;
SELECT a.k, (SELECT string_agg(s, ',') FROM (SELECT s FROM r2 WHERE v > a.v ORDER BY s) y) FROM r1 a;

-- columns with collations of their own
-- ordered
SELECT id, w, y, z FROM words ORDER BY w, id;
SELECT id, w FROM words ORDER BY w COLLATE "C" DESC, id;
SELECT id, y FROM words ORDER BY y, id;
SELECT id, y FROM words ORDER BY y COLLATE "en-x-icu" DESC NULLS LAST, id;
SELECT id, z FROM words ORDER BY z DESC, w, id;
SELECT id, x FROM words ORDER BY x, id;
SELECT id, x FROM words ORDER BY x COLLATE "C", id;
SELECT id, w FROM words ORDER BY w COLLATE caseless, id;

-- a collation that no table of the nodes has
-- ordered
BEGIN;
CREATE COLLATION upper_first (PROVIDER = icu, LOCALE = 'en-u-kf-upper');
SELECT id, w FROM words ORDER BY w COLLATE upper_first, id;
SELECT max(w COLLATE upper_first) FROM words WHERE id < 3;
SELECT id FROM words WHERE w COLLATE upper_first > 'apple' AND id IN (1, 2, 5) ORDER BY id;
ROLLBACK;

-- collations of comparisons
SELECT id FROM words WHERE w < 'b';
SELECT id FROM words WHERE w COLLATE "C" < 'b';
SELECT id FROM words WHERE x = 'STRASSE';
SELECT id FROM words WHERE x COLLATE "C" = 'STRASSE';
SELECT a.id, b.id FROM words a, r2 b WHERE a.id = b.v AND a.w COLLATE "C" < 'a';
SELECT a.id, b.id FROM words a, r2 b WHERE a.id = b.v AND a.w < 'a' AND a.y COLLATE "en-x-icu" > 'A';
SELECT a.id, b.id FROM words a, words b WHERE a.x = b.x AND a.id <> b.id;
SELECT a.id, b.id FROM words a, words b WHERE a.w COLLATE caseless = b.w COLLATE caseless AND a.id <> b.id;
SELECT count(DISTINCT x), count(DISTINCT w) FROM words;
SELECT lower(x COLLATE "C"), count(*) FROM words GROUP BY 1;

-- an error on the way
-- fails: 22012
SELECT 1 / (v - 5) FROM r1 ORDER BY v;

-- a sample
SELECT count(*) FROM (SELECT k FROM r2 TABLESAMPLE BERNOULLI (100) ORDER BY v) x;

-- COPY of sorted rows
-- ordered
COPY (SELECT k, v, s FROM r1 ORDER BY s DESC, k) TO STDOUT;
