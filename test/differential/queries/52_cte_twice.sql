-- joined with itself on the key
WITH c AS (SELECT k, v, s FROM r1 WHERE v > 1) SELECT a.k, a.v, b.s FROM c a JOIN c b ON a.k = b.k;
WITH c AS (SELECT user_id, count(*) AS n, sum(total) AS t FROM orders GROUP BY user_id) SELECT a.user_id, a.n, b.t FROM c a JOIN c b USING (user_id) WHERE b.n > 1;

-- materialized or not
WITH c AS MATERIALIZED (SELECT k, v FROM r1) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;
WITH c AS NOT MATERIALIZED (SELECT k, v FROM r1) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;

-- joined with itself on something else
WITH c AS (SELECT k, v FROM r1) SELECT a.k, b.k FROM c a JOIN c b ON a.v = b.v;
WITH c AS (SELECT k, v FROM r1) SELECT a.k, b.k FROM c a JOIN c b ON a.k = b.v;
WITH c AS (SELECT k, v FROM r1) SELECT a.k, b.k FROM c a JOIN c b ON a.k = b.k + 1;

-- one use on the key, one not
WITH c AS (SELECT k, v FROM r1) SELECT a.k, b.k, d.k FROM c a JOIN c b ON a.k = b.k JOIN c d ON d.v = a.v;

-- with another table between
WITH c AS (SELECT k, v FROM r1) SELECT a.v, t.s, b.v FROM c a JOIN r2 t ON t.k = a.k JOIN c b ON b.k = t.k;

-- outer joins
WITH c AS (SELECT k, v FROM r1 WHERE v > 3) SELECT t.k, a.v, b.v FROM r2 t LEFT JOIN c a ON a.k = t.k LEFT JOIN c b ON b.k = t.k;
WITH c AS (SELECT k, v FROM r1 WHERE v > 3) SELECT a.k, b.k FROM c a LEFT JOIN c b ON a.k = b.k AND b.v > 5;
WITH c AS (SELECT k, v FROM r1 WHERE v > 3) SELECT a.k, b.k FROM c a FULL JOIN c b ON a.k = b.k;

-- pinned to one key
WITH c AS (SELECT k, v FROM r2) SELECT a.v, b.v FROM c a, c b WHERE a.k = 5 AND b.k = 5;
WITH c AS (SELECT k, v FROM r2) SELECT a.v, b.v FROM c a, c b WHERE a.k = 5 AND b.k = a.k;
WITH c AS (SELECT k, v FROM r2) SELECT a.v, b.v FROM c a, c b WHERE a.k = 5 AND b.k = 8;
WITH c AS (SELECT k, v FROM r2) SELECT a.v, b.v FROM c a, c b WHERE a.k = 5;

-- in subqueries
WITH c AS (SELECT k, v FROM r1) SELECT k FROM c WHERE v > (SELECT avg(v) FROM c);
WITH c AS (SELECT k, v FROM r1) SELECT k FROM c WHERE EXISTS (SELECT FROM c d WHERE d.k = c.k AND d.v > 3);
WITH c AS (SELECT k, v FROM r1) SELECT k, (SELECT sum(d.v) FROM c d WHERE d.k = c.k) FROM c;
WITH c AS (SELECT k, v FROM r1) SELECT k FROM c WHERE k IN (SELECT k FROM c WHERE v > 4);

-- in the members of a set operation
WITH c AS (SELECT k, v FROM r1) SELECT k FROM c WHERE v > 4 UNION ALL SELECT v FROM c UNION ALL SELECT k FROM r2;
WITH c AS (SELECT k, v FROM r1 UNION ALL SELECT k, v FROM r2) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;

-- one in terms of another
WITH c AS (SELECT k, v FROM r1), d AS (SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k) SELECT d.k, e.v FROM d JOIN d e ON e.k = d.k;
WITH c AS (SELECT k, v FROM r1), d AS (SELECT k, max(v) AS m FROM c GROUP BY k) SELECT d.m, c.v FROM d JOIN c ON c.k = d.k;
WITH c AS (SELECT k, v FROM r1), d AS (SELECT v, count(*) AS n FROM c GROUP BY v) SELECT d.n, c.k FROM d JOIN c ON c.v = d.v;

-- with a limit inside
WITH c AS (SELECT k, v FROM r1 ORDER BY k LIMIT 5) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;
WITH c AS (SELECT DISTINCT ON (k) k, v FROM r2 ORDER BY k, v DESC NULLS LAST) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;
WITH c AS (SELECT DISTINCT ON (v) v, k FROM r1 ORDER BY v, k) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;

-- a window inside
WITH c AS (SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v, s, d, n) AS n FROM r2) SELECT a.k, a.n, b.v FROM c a JOIN c b ON a.k = b.k AND a.n = b.n;
WITH c AS (SELECT k, v, row_number() OVER (ORDER BY k) AS n FROM r1) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k AND a.n = b.n;

-- grouped above
WITH c AS (SELECT k, v, s FROM r1) SELECT a.s, count(*), sum(b.v) FROM c a JOIN c b ON a.k = b.k GROUP BY a.s;
WITH c AS (SELECT user_id, total FROM orders) SELECT count(DISTINCT a.user_id), max(b.total) FROM c a JOIN c b ON a.user_id = b.user_id;

-- columns under other names, and of other types
WITH c (x, y) AS (SELECT k, v FROM r1) SELECT a.x, b.y FROM c a JOIN c b ON a.x = b.x;
WITH c AS (SELECT k::bigint AS k, v FROM r1) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;
WITH c AS (SELECT k + 0 AS k, v FROM r1) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;

-- volatile
WITH c AS (SELECT k, random() AS r FROM r1) SELECT count(*) FROM c a JOIN c b ON a.k = b.k AND a.r = b.r;

-- used and not used
WITH c AS (SELECT k, v FROM r1), d AS (SELECT k FROM r2) SELECT a.k FROM c a JOIN c b ON a.k = b.k;

-- recursive, and used twice
WITH RECURSIVE c AS (SELECT k, v FROM r1 WHERE k < 3 UNION SELECT r.k, r.v FROM c JOIN r1 r ON r.k = c.k + 1 WHERE r.k < 9) SELECT a.k, b.v FROM c a JOIN c b ON a.k = b.k;
