-- ROLLUP of one
SELECT v, count(*) FROM r2 GROUP BY ROLLUP (v);

-- ROLLUP of three
SELECT v, s, b, count(*), sum(n) FROM r2 GROUP BY ROLLUP (v, s, b);

-- CUBE
SELECT v, b, count(*), min(k) FROM r2 GROUP BY CUBE (v, b);

-- CUBE with pairs
SELECT v, b, s, count(*) FROM r2 GROUP BY CUBE ((v, b), s);

-- GROUPING SETS with the empty one
SELECT k, v, count(*) FROM r2 GROUP BY GROUPING SETS ((k), (v), ());

-- the empty one alone
SELECT count(*), sum(v) FROM r2 GROUP BY ();

-- ... of no row
SELECT count(*), sum(v) FROM r7 GROUP BY ();

-- GROUPING SETS of no row
SELECT k, count(*) FROM r7 GROUP BY GROUPING SETS ((k), ());

-- two empty ones
SELECT count(*) FROM r2 GROUP BY GROUPING SETS ((), ());

-- GROUP BY DISTINCT
SELECT v, b, count(*) FROM r2 GROUP BY DISTINCT ROLLUP (v, b), ROLLUP (v);

-- sets combined with a column
SELECT v, b, s, count(*) FROM r2 GROUP BY v, GROUPING SETS ((b), (s));

-- grouping()
SELECT v, b, grouping(v), grouping(b), grouping(v, b), count(*) FROM r2 GROUP BY CUBE (v, b);

-- grouping() in HAVING
SELECT v, count(*) FROM r2 GROUP BY ROLLUP (v) HAVING grouping(v) = 1 OR count(*) > 2;

-- grouping() in ORDER BY
-- ordered
SELECT v, b, count(*) FROM r2 GROUP BY ROLLUP (v, b) ORDER BY grouping(v, b), v NULLS FIRST, b NULLS FIRST;

-- grouping() in CASE
SELECT CASE WHEN grouping(s) = 1 THEN 'all' ELSE s END, sum(n) FROM r2 GROUP BY ROLLUP (s);

-- sets over an expression
SELECT v % 3, k % 2, count(*) FROM r2 GROUP BY ROLLUP (v % 3, k % 2);

-- sets over a join on the key
SELECT a.b, c.s, count(*) FROM r1 a JOIN r2 c ON a.k = c.k GROUP BY ROLLUP (a.b, c.s);

-- sets over the key
SELECT k, s, count(*) FROM r2 GROUP BY ROLLUP (k, s);

-- sets with DISTINCT aggregates
SELECT b, count(DISTINCT v), sum(DISTINCT v) FROM r2 GROUP BY ROLLUP (b);

-- sets with an ordered aggregate
SELECT b, string_agg(s, ',' ORDER BY s) FROM r2 GROUP BY ROLLUP (b);

-- sets with FILTER
SELECT b, count(*) FILTER (WHERE v > 3), avg(n) FILTER (WHERE b) FROM r2 GROUP BY ROLLUP (b);

-- sets with a window over them
SELECT b, v, count(*), rank() OVER (PARTITION BY b ORDER BY count(*) DESC) FROM r2 GROUP BY CUBE (b, v);

-- sets in a subquery, filtered
SELECT * FROM (SELECT b, v, count(*) AS c FROM r2 GROUP BY CUBE (b, v)) x WHERE b IS NULL AND c > 1;

-- sets in a CTE that is joined
WITH x AS (SELECT k, count(*) AS c FROM r2 GROUP BY ROLLUP (k)) SELECT r1.k, x.c FROM x LEFT JOIN r1 ON r1.k = x.k;

-- nested sets
SELECT v, b, count(*) FROM r2 GROUP BY GROUPING SETS (GROUPING SETS ((v), (b)), ROLLUP (v));

-- HAVING without GROUP BY
SELECT sum(v) FROM r2 HAVING count(*) > 3;

-- ... that is false
SELECT sum(v) FROM r2 HAVING count(*) < 3;

-- ... without an aggregate
SELECT 1 FROM r2 HAVING true;

-- ... that is constant and false
SELECT count(*) FROM r2 HAVING false;

-- HAVING with a subquery
SELECT s, count(*) FROM r2 GROUP BY s HAVING count(*) > (SELECT avg(v) FROM r6);

-- HAVING with a correlated subquery
SELECT s, count(*) FROM r2 GROUP BY s HAVING EXISTS (SELECT FROM r4 WHERE r4.s = r2.s);

-- HAVING on the grouped column
SELECT v, count(*) FROM r2 GROUP BY v HAVING v > 4;

-- GROUP BY a boolean expression
SELECT v > 3, count(*) FROM r2 GROUP BY v > 3;

-- GROUP BY a constant
SELECT count(*) FROM r2 GROUP BY 'x'::text;

-- GROUP BY what is not shown
SELECT count(*) FROM r2 GROUP BY s, v;

-- GROUP BY an array
SELECT a, count(*) FROM r2 GROUP BY a;

-- GROUP BY a row
SELECT (v, b), count(*) FROM r2 GROUP BY (v, b);

-- ... made by ROW
SELECT ROW (v, b), count(*) FROM r2 GROUP BY ROW (v, b);

-- GROUP BY the primary key alone
SELECT a.k, a.s, a.n, count(b.v) FROM r1 a LEFT JOIN r2 b ON a.v = b.v GROUP BY a.k;

-- GROUP BY a subquery
SELECT (SELECT count(*) FROM r6 WHERE r6.v = r2.v), count(*) FROM r2 GROUP BY 1;

-- GROUP BY a function that returns sets
SELECT unnest(a), count(*) FROM r2 GROUP BY 1;

-- aggregates of aggregates
SELECT max(c), avg(c) FROM (SELECT s, count(*) AS c FROM r2 GROUP BY s) x;

-- three levels of groups
SELECT sum(m) FROM (SELECT b, max(c) AS m FROM (SELECT b, s, count(*) AS c FROM r2 GROUP BY b, s) x GROUP BY b) y;

-- aggregates of an expression of aggregates
SELECT s, max(v) - min(v), sum(n) / nullif(count(n), 0) FROM r2 GROUP BY s;

-- the same aggregate twice
SELECT sum(v), sum(v) + 1, avg(v), count(v) FROM r2;

-- an aggregate of the outer query in a subquery
SELECT s, (SELECT max(c.v) FROM r3 c WHERE c.v < count(*)) FROM r2 GROUP BY s;

-- an aggregate whose argument is of the outer query
SELECT (SELECT sum(a.v) FROM r6 LIMIT 1) FROM r2 a;

-- aggregates over no row at all
SELECT count(*), count(v), sum(v), avg(v), min(s), max(d), bool_and(b), array_agg(v), string_agg(s, ','), stddev(n), jsonb_agg(v) FROM r7;

-- ... by group
SELECT k, count(*), sum(v) FROM r7 GROUP BY k;

-- ... in a join
SELECT count(*), sum(a.v) FROM r1 a JOIN r7 b ON a.k = b.k;

-- DISTINCT beside GROUP BY
SELECT DISTINCT count(*) FROM r2 GROUP BY s;

-- DISTINCT ON
-- ordered
SELECT DISTINCT ON (s) s, k, v FROM r2 ORDER BY s, k DESC, v;

-- DISTINCT ON an expression
-- ordered
SELECT DISTINCT ON (k % 3) k % 3, k, v FROM r2 ORDER BY k % 3, k, v NULLS FIRST;

-- DISTINCT ON the key
-- ordered
SELECT DISTINCT ON (k) k, v, s FROM r2 ORDER BY k, v DESC NULLS LAST, s;

-- DISTINCT ON with LIMIT
-- ordered
SELECT DISTINCT ON (v) v, k FROM r2 ORDER BY v, k LIMIT 3;

-- DISTINCT ON nothing but a constant
SELECT DISTINCT ON (1) k, s FROM r2 ORDER BY 1, s LIMIT 1;

-- DISTINCT of rows with nulls
SELECT DISTINCT v, b FROM r2;

-- DISTINCT ordered by what it shows
-- ordered
SELECT DISTINCT v, s FROM r2 ORDER BY v NULLS FIRST, s DESC;

-- DISTINCT of arrays, rows and ranges
SELECT DISTINCT a, (v, b), int4range(v, 20) FROM r2;

-- DISTINCT with a window
SELECT DISTINCT b, count(*) OVER (PARTITION BY b) FROM r2;

-- distinct keys, which several groups of a set have
SELECT status, count(DISTINCT user_id), sum(DISTINCT user_id), count(DISTINCT (user_id, total > 100)) FROM orders GROUP BY ROLLUP (status);

-- distinct keys, in a condition about a set
SELECT extract(year FROM born) / 10, country, count(*) FROM users GROUP BY CUBE (1, 2) HAVING count(DISTINCT user_id) > 5;

-- distinct keys beside a reference table
SELECT c.name, o.status, count(DISTINCT o.user_id), count(*) FROM orders o CROSS JOIN countries c GROUP BY GROUPING SETS ((c.name), (o.status), ());
