-- NULLS FIRST and LAST
-- ordered
SELECT v, s FROM r1 ORDER BY v NULLS FIRST, s DESC NULLS LAST, k;

-- descending with nulls where they are not by default
-- ordered
SELECT v, k FROM r1 ORDER BY v DESC NULLS LAST, k DESC;

-- by position, alias and expression
-- ordered
SELECT k, v AS w, n FROM r1 ORDER BY 2, w, n + k, 1;

-- by what is not shown
-- ordered
SELECT s FROM r1 ORDER BY k;

-- by an expression with a subquery
-- ordered
SELECT k FROM r1 ORDER BY (SELECT count(*) FROM r2 WHERE r2.k = r1.k) DESC, k;

-- by a function
-- ordered
SELECT k, s FROM r1 ORDER BY length(s), md5(s), k;

-- USING an operator
-- ordered
SELECT k FROM r1 ORDER BY k USING >;

-- by a collation
-- ordered
SELECT s FROM (VALUES ('b'), ('A'), ('a'), ('B')) x (s), r6 WHERE r6.k = 1 ORDER BY s COLLATE "C";

-- by another collation
-- ordered
SELECT DISTINCT upper(s) || s FROM r2 ORDER BY upper(s) || s COLLATE "POSIX" DESC;

-- by arrays and rows
-- ordered
SELECT k, a FROM r1 ORDER BY a NULLS FIRST, (v, k);

-- by booleans and dates
-- ordered
SELECT k, b, d FROM r1 ORDER BY b, d DESC, k;

-- LIMIT
-- ordered
SELECT k FROM r1 ORDER BY k LIMIT 5;

-- LIMIT 0
SELECT * FROM r1 LIMIT 0;

-- LIMIT ALL and NULL
SELECT k FROM r1 LIMIT ALL;

-- LIMIT by an expression
-- ordered
SELECT k FROM r1 ORDER BY k LIMIT 1 + 2 OFFSET 2 * 2;

-- LIMIT by a subquery
-- ordered
SELECT k FROM r1 ORDER BY k DESC LIMIT (SELECT count(*) FROM r6) OFFSET (SELECT min(v) FROM r6);

-- LIMIT by a distributed subquery
-- ordered
SELECT k FROM r1 ORDER BY k LIMIT (SELECT max(v) FROM r2);

-- a LIMIT that is null
-- ordered
SELECT k FROM r1 ORDER BY k LIMIT (SELECT v FROM r7) OFFSET NULL;

-- a negative LIMIT
-- fails: 2201W
SELECT k FROM r1 LIMIT -1;

-- a negative OFFSET
-- fails: 2201X
SELECT k FROM r1 OFFSET -1;

-- OFFSET beyond the end
SELECT k FROM r1 ORDER BY k OFFSET 1000;

-- FETCH FIRST ROW
-- ordered
SELECT k FROM r1 ORDER BY k OFFSET 1 ROW FETCH FIRST ROW ONLY;

-- WITH TIES on another column
SELECT v FROM r2 ORDER BY v FETCH FIRST 5 ROWS WITH TIES;

-- WITH TIES by group
SELECT s, count(*) FROM r2 GROUP BY s ORDER BY count(*) DESC FETCH FIRST 2 ROWS WITH TIES;

-- WITH TIES by a parameter
PREPARE q (int) AS SELECT n FROM r2 ORDER BY n NULLS FIRST FETCH FIRST $1 ROWS WITH TIES;
EXECUTE q (1); EXECUTE q (4);

-- LIMIT in a subquery, ordered otherwise outside
-- ordered
SELECT * FROM (SELECT k, v FROM r1 ORDER BY v DESC NULLS LAST, k LIMIT 6) x ORDER BY k;

-- LIMIT of a join
-- ordered
SELECT a.k, b.v FROM r1 a JOIN r2 b USING (k) ORDER BY a.k, b.v NULLS FIRST, b.s LIMIT 5 OFFSET 3;

-- LIMIT of an outer join
-- ordered
SELECT a.k, b.v FROM r1 a LEFT JOIN r2 b USING (k) ORDER BY b.v NULLS FIRST, a.k, b.s LIMIT 6;

-- LIMIT of groups
-- ordered
SELECT s, sum(v) FROM r2 GROUP BY s ORDER BY sum(v) DESC NULLS LAST, s LIMIT 3;

-- LIMIT of groups by key
-- ordered
SELECT k, sum(v) FROM r2 GROUP BY k ORDER BY 2 DESC NULLS LAST, 1 LIMIT 3;

-- LIMIT of DISTINCT
-- ordered
SELECT DISTINCT s FROM r2 ORDER BY s LIMIT 4;

-- LIMIT in EXISTS and IN
SELECT k FROM r1 WHERE k IN (SELECT k FROM r2 ORDER BY k DESC LIMIT 4) AND EXISTS (SELECT FROM r2 LIMIT 1);

-- LIMIT 0 in EXISTS
SELECT k FROM r1 WHERE NOT EXISTS (SELECT FROM r2 LIMIT 0) AND k < 3;

-- functions that return sets, ordered
-- ordered
SELECT k, generate_series(1, 2) AS g FROM r1 WHERE k < 4 ORDER BY g DESC, k;

-- ... with LIMIT
-- ordered
SELECT k, unnest(ARRAY[k, v]) AS u FROM r1 ORDER BY k, u LIMIT 5;

-- two of them
SELECT k, generate_series(1, 2), generate_series(1, 3) FROM r1 WHERE k = 2;
