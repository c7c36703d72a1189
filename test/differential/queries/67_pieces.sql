-- a subquery grouped by the key
SELECT avg(n), max(n), count(*) FROM (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) s;

-- a subquery grouped by the key, joined on it
SELECT u.user_id, u.name, s.n FROM users u JOIN (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) s USING (user_id) WHERE s.n > 5;

-- ... as the optional side
SELECT u.user_id, s.n FROM users u LEFT JOIN (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) s USING (user_id);

-- ... of two, grouped again
SELECT country, sum(n), max(spent) FROM users JOIN (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) o USING (user_id) JOIN (SELECT user_id, sum(price) AS spent FROM order_items GROUP BY user_id) i USING (user_id) GROUP BY country;

-- a window by the key below
SELECT status, count(*) FROM (SELECT user_id, status, row_number() OVER (PARTITION BY user_id ORDER BY order_id) AS r FROM orders) s WHERE r = 1 GROUP BY status;

-- a window by the key, joined
SELECT u.name, s.order_id FROM users u JOIN (SELECT user_id, order_id, rank() OVER (PARTITION BY user_id ORDER BY order_id DESC) AS r FROM orders) s ON s.user_id = u.user_id AND s.r = 1;

-- DISTINCT with the key below
SELECT count(*) FROM (SELECT DISTINCT user_id, status FROM orders) s;

-- DISTINCT ON the key below
SELECT status, count(*) FROM (SELECT DISTINCT ON (user_id) user_id, status FROM orders ORDER BY user_id, order_id) s GROUP BY status;

-- DISTINCT without the key below
SELECT count(*) FROM (SELECT DISTINCT status, note FROM orders) s;

-- LIMIT below
SELECT count(*), max(total) FROM (SELECT * FROM orders ORDER BY order_id LIMIT 10) s;

-- UNION ALL of colocated tables below
SELECT count(*), count(DISTINCT user_id) FROM (SELECT user_id FROM orders UNION ALL SELECT user_id FROM users) s;

-- UNION with the key below, joined
SELECT u.user_id, u.name FROM users u JOIN (SELECT user_id FROM orders UNION SELECT user_id FROM order_items) s USING (user_id);

-- EXCEPT and INTERSECT with the key below
SELECT count(*) FROM (SELECT user_id FROM users EXCEPT SELECT user_id FROM orders) s;

-- a UNION whose members differ in what they can
SELECT status, count(*) FROM orders GROUP BY status UNION ALL SELECT kind, count(*) FROM events GROUP BY kind UNION ALL SELECT region, 1 FROM regions;

-- a UNION ALL of keys and other columns is no key
SELECT u.user_id FROM users u JOIN (SELECT user_id FROM orders UNION ALL SELECT quantity FROM order_items) s USING (user_id);

-- windows over everything above a join
SELECT u.name, o.order_id, rank() OVER (ORDER BY o.total DESC NULLS LAST, o.order_id) FROM users u JOIN orders o USING (user_id) WHERE u.user_id < 20;

-- an ordered-set aggregate above a join
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY o.total), mode() WITHIN GROUP (ORDER BY u.country) FROM users u JOIN orders o USING (user_id);

-- a set of rows for each, above a join
SELECT u.user_id, unnest(ARRAY[o.order_id, o.order_id + 1]) FROM users u JOIN orders o USING (user_id);

-- a join of colocated tables with a local one
SELECT r.region, count(*), sum(o.total) FROM users u JOIN orders o USING (user_id) JOIN regions r ON r.country = u.country GROUP BY r.region;

-- ... with the local one in the middle
SELECT r.region, o.order_id FROM regions r, users u, orders o WHERE r.country = u.country AND o.user_id = u.user_id AND o.total > 300;

-- ... with a local one that may be missing
SELECT u.name, r.region, o.order_id FROM users u JOIN orders o USING (user_id) LEFT JOIN regions r ON r.country = u.country;

-- a join with a table that is split otherwise
SELECT u.name, o.order_id, m.value FROM users u JOIN orders o ON o.user_id = u.user_id JOIN measurements m ON m.sensor = o.order_id;

-- two joins that are split differently
SELECT count(*) FROM (users u JOIN orders o USING (user_id)) JOIN (accounts a JOIN gaps g ON g.a = a.owner) ON a.owner = u.user_id;

-- an outer join of colocated tables beside a local one
SELECT u.user_id, o.order_id, r.region FROM (users u LEFT JOIN orders o USING (user_id)) JOIN regions r ON r.country = u.country WHERE u.user_id > 30;

-- a full join of colocated tables beside a local one
SELECT user_id, o.order_id, r.region FROM (users u FULL JOIN orders o USING (user_id)) LEFT JOIN regions r ON r.country = u.country;

-- columns of nested joins with USING
SELECT user_id, order_id, line, region FROM users JOIN orders USING (user_id) JOIN order_items USING (user_id, order_id) JOIN regions USING (country) WHERE line = 1;

-- a reference table in the join that goes down
SELECT p.category, r.region, sum(i.quantity) FROM order_items i JOIN products p USING (product_id) JOIN users u USING (user_id) JOIN regions r USING (country) GROUP BY p.category, r.region;

-- a correlated subquery above a join
SELECT u.name, o.order_id, (SELECT count(*) FROM measurements m WHERE m.sensor = o.order_id) FROM users u JOIN orders o USING (user_id) WHERE u.user_id < 5;

-- a correlated EXISTS on the key below a window
SELECT u.user_id, row_number() OVER (ORDER BY u.user_id) FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.user_id = u.user_id AND o.total > 400);

-- a lateral subquery on the key
SELECT u.user_id, l.order_id FROM users u, LATERAL (SELECT order_id FROM orders o WHERE o.user_id = u.user_id ORDER BY order_id DESC LIMIT 2) l;

-- CTEs that go down each
WITH a AS (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id), b AS (SELECT kind, count(*) AS n FROM events GROUP BY kind) SELECT * FROM a FULL JOIN b USING (n);

-- a CTE used twice
WITH s AS (SELECT status, sum(total) AS t FROM orders GROUP BY status) SELECT a.status, b.status FROM s a JOIN s b ON a.t < b.t;

-- a CTE by key used once
WITH s AS (SELECT user_id, sum(total) AS t FROM orders GROUP BY user_id) SELECT avg(t) FROM s JOIN users USING (user_id) WHERE active;

-- a whole row of a join that is cut
SELECT o FROM users u JOIN orders o USING (user_id) JOIN regions r USING (country) WHERE u.user_id < 4;

-- IN with a grouped subquery
SELECT name FROM users WHERE user_id IN (SELECT user_id FROM orders GROUP BY user_id HAVING count(*) > 5);

-- NOT IN with another table's column
SELECT count(*) FROM users u JOIN orders o USING (user_id) WHERE o.order_id NOT IN (SELECT sensor FROM measurements);

-- a condition from outside on a grouped subquery
SELECT * FROM (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) s WHERE user_id = 7;

-- ... on one that is grouped otherwise
SELECT * FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s WHERE status <> 'new' AND n > 3;

-- a recursive CTE over a join
WITH RECURSIVE r (id, depth) AS (SELECT u.user_id, 1 FROM users u JOIN orders o USING (user_id) WHERE o.order_id = 1 UNION ALL SELECT id + 1, depth + 1 FROM r WHERE depth < 4) SELECT r.id, u.name FROM r JOIN users u ON u.user_id = r.id;

-- rows of a join inserted into a local table
CREATE TEMP TABLE t AS SELECT u.name, sum(o.total) AS s, r.region FROM users u JOIN orders o USING (user_id) JOIN regions r USING (country) GROUP BY u.name, r.region;
SELECT * FROM t;

-- a local table updated from a join
CREATE TEMP TABLE t AS SELECT i AS id, 0 AS n FROM generate_series(1, 20) i;
UPDATE t SET n = s.n FROM (SELECT u.user_id, count(*) AS n FROM users u JOIN orders o USING (user_id) GROUP BY u.user_id) s WHERE s.user_id = t.id;
SELECT * FROM t;

-- WITH TIES
-- ordered
SELECT status FROM orders ORDER BY status FETCH FIRST 3 ROWS WITH TIES;

-- WITH TIES and OFFSET
SELECT user_id % 4 FROM orders ORDER BY user_id % 4 OFFSET 2 FETCH FIRST 3 ROWS WITH TIES;

-- LIMIT and OFFSET as parameters
-- ordered
PREPARE q (bigint, bigint) AS SELECT user_id, order_id FROM orders ORDER BY order_id LIMIT $1 OFFSET $2;
EXECUTE q (3, 2); EXECUTE q (NULL, 235); EXECUTE q (2, NULL); EXECUTE q (9223372036854775807, 237);

-- grouped by the key, the first of them
-- ordered
SELECT user_id, sum(total) FROM orders GROUP BY user_id ORDER BY sum(total) DESC NULLS LAST, user_id LIMIT 5;

-- cursors over pieces
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT u.user_id, o.order_id, r.region FROM users u JOIN orders o USING (user_id) LEFT JOIN regions r USING (country) WHERE o.order_id < 6 ORDER BY o.order_id, r.region;
FETCH 3 FROM c; FETCH BACKWARD 2 FROM c; FETCH LAST FROM c;
COMMIT;

-- a view of groups joined with a local table
SELECT v.user_id, v.orders, r.region FROM order_totals v JOIN users u USING (user_id) JOIN regions r USING (country);
