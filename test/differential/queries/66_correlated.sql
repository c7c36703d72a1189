-- in the select list, on the key
SELECT a.k, (SELECT sum(b.v) FROM r2 b WHERE b.k = a.k) FROM r1 a;

-- ... on another column
SELECT a.k, (SELECT sum(b.v) FROM r2 b WHERE b.s = a.s) FROM r1 a;

-- ... by an inequality
SELECT a.k, (SELECT count(*) FROM r2 b WHERE b.v < a.v) FROM r1 a;

-- in WHERE, compared
SELECT a.k FROM r1 a WHERE a.v > (SELECT avg(b.v) FROM r2 b WHERE b.s = a.s);

-- in WHERE, by key
SELECT a.k FROM r1 a WHERE a.v >= (SELECT max(b.v) FROM r2 b WHERE b.k = a.k);

-- in a join condition
SELECT a.k, b.v FROM r1 a JOIN r2 b ON b.k = a.k AND b.v = (SELECT max(c.v) FROM r3 c WHERE c.k = a.k);

-- in an outer join's condition
SELECT a.k, b.v FROM r1 a LEFT JOIN r2 b ON b.k = a.k AND b.v < (SELECT avg(c.v) FROM r3 c WHERE c.s = a.s);

-- in HAVING
SELECT s, count(*) FROM r2 a GROUP BY s HAVING count(*) >= (SELECT count(*) FROM r4 b WHERE b.s = a.s);

-- in ORDER BY
-- ordered
SELECT k FROM r1 a ORDER BY (SELECT max(b.v) FROM r2 b WHERE b.s = a.s) NULLS FIRST, k;

-- in GROUP BY
SELECT (SELECT max(b.v) FROM r2 b WHERE b.s = a.s), count(*) FROM r1 a GROUP BY 1;

-- in CASE
SELECT k, CASE WHEN (SELECT count(*) FROM r2 b WHERE b.k = a.k) > 1 THEN 'many' ELSE 'few' END FROM r1 a;

-- in a function's argument
SELECT k, coalesce((SELECT b.s FROM r5 b WHERE b.k = a.k AND b.s IS NOT NULL ORDER BY s LIMIT 1), 'none') FROM r1 a;

-- in an aggregate's argument
SELECT sum((SELECT count(*) FROM r2 b WHERE b.k = a.k)) FROM r1 a;

-- in a window
SELECT k, rank() OVER (ORDER BY (SELECT count(*) FROM r2 b WHERE b.s = a.s)) FROM r1 a;

-- in LIMIT of a lateral subquery
SELECT a.k, x.k FROM r6 a, LATERAL (SELECT b.k FROM r2 b ORDER BY b.k, b.v LIMIT a.v) x;

-- two levels deep
SELECT a.k FROM r1 a WHERE EXISTS (SELECT FROM r2 b WHERE b.k = a.k AND b.v > (SELECT min(c.v) FROM r3 c WHERE c.s = a.s AND c.k <> b.k));

-- two levels, the inner one skips a level
SELECT a.k, (SELECT count(*) FROM r2 b WHERE b.v IN (SELECT c.v FROM r3 c WHERE c.k = a.k)) FROM r1 a;

-- ANY, correlated
SELECT a.k FROM r1 a WHERE a.v > ANY (SELECT b.v FROM r2 b WHERE b.k = a.k);

-- ALL, correlated
SELECT a.k FROM r1 a WHERE a.v >= ALL (SELECT b.v FROM r2 b WHERE b.s = a.s AND b.v IS NOT NULL);

-- ALL with nulls
SELECT k FROM r1 WHERE v > ALL (SELECT v FROM r6);

-- ANY of an empty query
SELECT k FROM r1 WHERE v = ANY (SELECT v FROM r7) OR v <> ALL (SELECT v FROM r7);

-- a row compared with a subquery
SELECT k FROM r1 a WHERE (v, s) = (SELECT b.v, b.s FROM r2 b WHERE b.k = a.k ORDER BY v, s LIMIT 1);

-- a row less than a subquery
SELECT k FROM r1 a WHERE (v, k) < (SELECT max(b.v), max(b.k) FROM r2 b WHERE b.s = a.s);

-- ARRAY of a subquery
SELECT k, ARRAY(SELECT b.v FROM r2 b WHERE b.k = a.k ORDER BY b.v) FROM r1 a;

-- ... on another column
SELECT k, ARRAY(SELECT b.k FROM r2 b WHERE b.v = a.v ORDER BY b.k) FROM r1 a;

-- more than one row
-- fails: 21000
SELECT k, (SELECT b.v FROM r2 b WHERE b.k >= a.k) FROM r1 a;

-- more than one row, by key
-- fails: 21000
SELECT k, (SELECT b.s FROM r2 b WHERE b.k = a.k) FROM r1 a;

-- a subquery that uses the outer query's aggregate
SELECT s, (SELECT count(*) FROM r3 b WHERE b.v < max(a.v)) FROM r2 a GROUP BY s;

-- a subquery in FROM of a subquery
SELECT k, (SELECT max(c) FROM (SELECT count(*) AS c FROM r2 b WHERE b.k = a.k GROUP BY b.v) x) FROM r1 a;

-- subqueries on both sides
SELECT k FROM r1 a WHERE (SELECT count(*) FROM r2 b WHERE b.k = a.k) = (SELECT count(*) FROM r3 c WHERE c.k = a.k);

-- not correlated, of one row and of none
SELECT k, (SELECT max(v) FROM r2), (SELECT v FROM r7) FROM r1 WHERE k < 3;

-- not correlated, volatile
SELECT count(*) FROM r1 WHERE (SELECT random() FROM r6 LIMIT 1) < 2;

-- correlated, volatile
SELECT count(*) FROM r1 a WHERE (SELECT random() + a.k FROM r6 LIMIT 1) > 0;

-- EXISTS of an aggregate is always true
SELECT count(*) FROM r1 a WHERE EXISTS (SELECT count(*) FROM r2 b WHERE b.k = a.k AND false);

-- EXISTS of a group
SELECT a.k FROM r1 a WHERE EXISTS (SELECT b.k FROM r2 b WHERE b.k = a.k GROUP BY b.k HAVING count(*) > 1);

-- NOT EXISTS of a join
SELECT a.k FROM r1 a WHERE NOT EXISTS (SELECT FROM r2 b JOIN r3 c ON b.k = c.k WHERE b.k = a.k);

-- IN of a join
SELECT k FROM r1 WHERE k IN (SELECT b.k FROM r2 b JOIN r5 c USING (k));

-- IN of values computed outside
SELECT k FROM r1 a WHERE a.v IN (SELECT b.v + a.k % 2 FROM r2 b WHERE b.k < 5);

-- IN with an outer reference on the left only
SELECT k, k IN (SELECT k FROM r5) FROM r1;

-- NOT IN as a column
SELECT k, v NOT IN (SELECT v FROM r2) FROM r1;
