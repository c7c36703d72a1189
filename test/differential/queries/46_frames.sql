-- no partition
SELECT k, v, count(*) OVER (), sum(v) OVER () FROM r2;

-- a partition by the key
SELECT k, v, count(*) OVER (PARTITION BY k), rank() OVER (PARTITION BY k ORDER BY v) FROM r2;

-- a partition by another column
SELECT k, s, sum(v) OVER (PARTITION BY s) FROM r2;

-- partitions by several, one of them the key
SELECT k, s, count(*) OVER (PARTITION BY k, s), count(*) OVER (PARTITION BY k) FROM r2;

-- partitions with the key and without
SELECT k, count(*) OVER (PARTITION BY k), count(*) OVER (PARTITION BY v) FROM r2;

-- row_number over a total order
SELECT k, row_number() OVER (ORDER BY k DESC) FROM r1;

-- all rankings
SELECT v, rank() OVER w, dense_rank() OVER w, percent_rank() OVER w, cume_dist() OVER w FROM r2 WINDOW w AS (ORDER BY v NULLS FIRST);

-- ntile, lag, lead, values
SELECT k, ntile(4) OVER w, lag(v) OVER w, lead(v, 2, -1) OVER w, first_value(s) OVER w, last_value(s) OVER w, nth_value(n, 3) OVER w FROM r1 WINDOW w AS (ORDER BY k);

-- ROWS
SELECT k, sum(v) OVER (ORDER BY k ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), avg(v) OVER (ORDER BY k ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM r1;

-- ROWS with exclusion
SELECT k, sum(v) OVER (ORDER BY k ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW), count(*) OVER (ORDER BY k ROWS 2 PRECEDING EXCLUDE GROUP) FROM r1;

-- RANGE by number
SELECT v, count(*) OVER (ORDER BY v RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM r2;

-- RANGE by numeric, descending
SELECT n, sum(v) OVER (ORDER BY n DESC RANGE BETWEEN 1.5 PRECEDING AND CURRENT ROW) FROM r2;

-- RANGE by dates
SELECT d, count(*) OVER (ORDER BY d RANGE BETWEEN '2 days' PRECEDING AND '1 day' FOLLOWING) FROM r2;

-- RANGE with exclusion of ties
SELECT v, count(*) OVER (ORDER BY v RANGE UNBOUNDED PRECEDING EXCLUDE TIES) FROM r2;

-- GROUPS
SELECT v, sum(v) OVER (ORDER BY v GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM r2;

-- GROUPS with exclusion of the group
SELECT v, sum(v) OVER (ORDER BY v GROUPS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE GROUP) FROM r2;

-- GROUPS with an offset that is computed
SELECT v, count(*) OVER (ORDER BY v GROUPS BETWEEN (SELECT 1) PRECEDING AND CURRENT ROW) FROM r2;

-- an offset that is a parameter
PREPARE q (int) AS SELECT k, sum(v) OVER (ORDER BY k ROWS $1 PRECEDING) FROM r1;
EXECUTE q (1); EXECUTE q (3);

-- a negative offset
-- fails: 22013
SELECT sum(v) OVER (ORDER BY k ROWS -1 PRECEDING) FROM r1;

-- FILTER in a window
SELECT v, count(*) FILTER (WHERE b) OVER (ORDER BY v) FROM r2;

-- an inherited window
SELECT k, sum(v) OVER (w ORDER BY k), count(*) OVER w FROM r1 WINDOW w AS (PARTITION BY b);

-- a window over groups
SELECT s, count(*), sum(count(*)) OVER (ORDER BY s) FROM r2 GROUP BY s;

-- ... that are by the key
SELECT k, count(*), rank() OVER (ORDER BY count(*) DESC) FROM r2 GROUP BY k;

-- a window over a window
SELECT k, r, max(r) OVER (PARTITION BY b) FROM (SELECT k, b, rank() OVER (ORDER BY v) AS r FROM r1) x;

-- filtered by a rank
SELECT * FROM (SELECT s, k, v, row_number() OVER (PARTITION BY s ORDER BY k, v) AS i FROM r2) x WHERE i <= 2;

-- ... within the key
SELECT * FROM (SELECT k, v, s, row_number() OVER (PARTITION BY k ORDER BY v, s) AS i FROM r2) x WHERE i = 1;

-- ... and by a key
SELECT * FROM (SELECT k, v, s, row_number() OVER (PARTITION BY k ORDER BY v, s) AS i FROM r2) x WHERE k = 3;

-- ... and by another column, which must not go below the window
SELECT * FROM (SELECT k, v, count(*) OVER (PARTITION BY k) AS c FROM r2) x WHERE v = 1;

-- a window over a join on the key
SELECT a.k, c.v, sum(c.n) OVER (PARTITION BY a.k) FROM r1 a JOIN r2 c ON a.k = c.k;

-- a window over a join on another column
SELECT a.k, c.k, sum(c.n) OVER (PARTITION BY a.k ORDER BY c.k) FROM r1 a JOIN r2 c ON a.v = c.v;

-- ordered by a window
-- ordered
SELECT k FROM r1 ORDER BY sum(v) OVER (ORDER BY k) DESC NULLS LAST, k;

-- limited by a window
-- ordered
SELECT k, rank() OVER (ORDER BY k) FROM r1 ORDER BY rank() OVER (ORDER BY k) DESC LIMIT 3;

-- windows and DISTINCT
SELECT DISTINCT s, max(v) OVER (PARTITION BY s) FROM r2;

-- windows in a subquery of WHERE
SELECT k FROM r1 WHERE (k, 1) IN (SELECT k, rank() OVER (PARTITION BY s ORDER BY k) FROM r1);

-- a window over no row
SELECT k, rank() OVER (ORDER BY k) FROM r7;

-- string_agg as a window
SELECT k, string_agg(s, ',') OVER (ORDER BY k) FROM r1;

-- ordered-set values of groups in a window
SELECT s, avg(m) OVER () FROM (SELECT s, percentile_cont(0.5) WITHIN GROUP (ORDER BY n) AS m FROM r2 GROUP BY s) x;

-- a window by what has no order, where no row is ever looked at
SELECT c FROM (SELECT sum(1::numeric) OVER (PARTITION BY a.acl ORDER BY o.line) AS c
    FROM order_items o, (VALUES (NULL::aclitem[])) a (acl)) q WHERE NULL::boolean;
