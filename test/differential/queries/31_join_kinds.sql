-- inner join on their keys
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r1 a JOIN r2 b ON a.k = b.k;

-- left join on their keys
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r1 a LEFT JOIN r2 b ON a.k = b.k;

-- right join on their keys
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r1 a RIGHT JOIN r2 b ON a.k = b.k;

-- full join on their keys
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r1 a FULL JOIN r2 b ON a.k = b.k;

-- semi join on their keys
SELECT a.k, a.v FROM r1 a WHERE EXISTS (SELECT FROM r2 b WHERE a.k = b.k AND b.n IS NOT NULL);

-- anti join on their keys
SELECT a.k, a.v FROM r1 a WHERE NOT EXISTS (SELECT FROM r2 b WHERE a.k = b.k);

-- inner join on another column with nulls
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r2 a JOIN r3 b ON a.v = b.v;

-- left join on another column with nulls
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r2 a LEFT JOIN r3 b ON a.v = b.v;

-- right join on another column with nulls
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r2 a RIGHT JOIN r3 b ON a.v = b.v;

-- full join on another column with nulls
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r2 a FULL JOIN r3 b ON a.v = b.v;

-- semi join on another column with nulls
SELECT a.k, a.v FROM r2 a WHERE EXISTS (SELECT FROM r3 b WHERE a.v = b.v AND b.n IS NOT NULL);

-- anti join on another column with nulls
SELECT a.k, a.v FROM r2 a WHERE NOT EXISTS (SELECT FROM r3 b WHERE a.v = b.v);

-- inner join on dates
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r3 a JOIN r5 b ON a.d = b.d;

-- left join on dates
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r3 a LEFT JOIN r5 b ON a.d = b.d;

-- right join on dates
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r3 a RIGHT JOIN r5 b ON a.d = b.d;

-- full join on dates
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r3 a FULL JOIN r5 b ON a.d = b.d;

-- semi join on dates
SELECT a.k, a.v FROM r3 a WHERE EXISTS (SELECT FROM r5 b WHERE a.d = b.d AND b.n IS NOT NULL);

-- anti join on dates
SELECT a.k, a.v FROM r3 a WHERE NOT EXISTS (SELECT FROM r5 b WHERE a.d = b.d);

-- inner join on text
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r4 a JOIN r6 b ON a.s = b.s;

-- left join on text
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r4 a LEFT JOIN r6 b ON a.s = b.s;

-- right join on text
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r4 a RIGHT JOIN r6 b ON a.s = b.s;

-- full join on text
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r4 a FULL JOIN r6 b ON a.s = b.s;

-- semi join on text
SELECT a.k, a.v FROM r4 a WHERE EXISTS (SELECT FROM r6 b WHERE a.s = b.s AND b.n IS NOT NULL);

-- anti join on text
SELECT a.k, a.v FROM r4 a WHERE NOT EXISTS (SELECT FROM r6 b WHERE a.s = b.s);

-- inner join on an empty table
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r5 a JOIN r7 b ON a.k = b.k;

-- left join on an empty table
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r5 a LEFT JOIN r7 b ON a.k = b.k;

-- right join on an empty table
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r5 a RIGHT JOIN r7 b ON a.k = b.k;

-- full join on an empty table
SELECT a.k, a.v, a.s, b.k, b.v, b.s FROM r5 a FULL JOIN r7 b ON a.k = b.k;

-- semi join on an empty table
SELECT a.k, a.v FROM r5 a WHERE EXISTS (SELECT FROM r7 b WHERE a.k = b.k AND b.n IS NOT NULL);

-- anti join on an empty table
SELECT a.k, a.v FROM r5 a WHERE NOT EXISTS (SELECT FROM r7 b WHERE a.k = b.k);

-- three tables, outer joins in turn
SELECT a.k, b.v, c.s FROM r1 a LEFT JOIN r2 b ON a.k = b.k LEFT JOIN r3 c ON b.k = c.k AND c.n > 2;

-- an outer join below an inner one
SELECT a.k, b.v, c.s FROM r1 a LEFT JOIN r2 b ON a.k = b.k JOIN r5 c ON c.k = a.k;

-- an inner join below an outer one
SELECT a.k, b.v, c.s FROM r1 a LEFT JOIN (r2 b JOIN r5 c ON b.k = c.k) ON a.k = b.k;

-- ... on the nullable side's own column
SELECT a.k, b.v, c.s FROM r1 a LEFT JOIN (r2 b LEFT JOIN r5 c ON b.k = c.k) ON a.k = c.k;

-- full joins in a chain, by USING
SELECT k, a.v, b.v, c.v FROM r1 a FULL JOIN r2 b USING (k) FULL JOIN r5 c USING (k);

-- natural full join
SELECT * FROM (SELECT k, v FROM r1) a NATURAL FULL JOIN (SELECT k, s FROM r2) b;

-- the merged column of a full join is joined again
SELECT x.k, r.v FROM (SELECT k, a.v AS av FROM r1 a FULL JOIN r5 b USING (k)) x JOIN r2 r ON r.k = x.k;

-- an outer join whose condition is about one side only
SELECT a.k, b.k FROM r1 a LEFT JOIN r2 b ON a.b WHERE a.k < 4;

-- an outer join ON true
SELECT a.k, b.k FROM r6 a LEFT JOIN r5 b ON true;

-- an outer join ON false
SELECT a.k, b.k FROM r1 a LEFT JOIN r2 b ON false;

-- a full join ON false
SELECT a.k, b.k FROM r6 a FULL JOIN r5 b ON false;

-- a condition above an outer join that is true for null
SELECT a.k, b.k FROM r1 a LEFT JOIN r2 b ON a.k = b.k WHERE coalesce(b.v, 0) = 0;

-- IS NULL on the nullable side, of a column that may be null by itself
SELECT a.k, b.v FROM r1 a LEFT JOIN r2 b ON a.k = b.k WHERE b.v IS NULL;

-- constants on the nullable side
SELECT a.k, b.c, b.k FROM r1 a LEFT JOIN (SELECT k, 'there' AS c FROM r2) b ON a.k = b.k;

-- an expression that is not null for null, on the nullable side
SELECT a.k, b.c FROM r1 a LEFT JOIN (SELECT k, coalesce(v, -1) AS c FROM r2) b ON a.k = b.k WHERE a.k > 15;

-- two levels of them
SELECT a.k, x.c, x.d FROM r1 a LEFT JOIN (SELECT b.k, y.c, 1 AS d FROM r2 b LEFT JOIN (SELECT k, 'deep' AS c FROM r3) y ON b.k = y.k) x ON a.k = x.k;

-- a cross join of three
SELECT count(*), sum(a.k * b.k) FROM r1 a, r6 b, r5 c;

-- a join on an expression
SELECT a.k, b.k FROM r1 a JOIN r2 b ON a.k = b.k + 1;

-- a join on expressions of both sides
SELECT a.k, b.k FROM r1 a JOIN r3 b ON a.k % 5 = b.k % 4 AND a.v = b.v;

-- a join by IS NOT DISTINCT FROM
SELECT a.k, a.v, b.v FROM r1 a JOIN r2 b ON a.v IS NOT DISTINCT FROM b.v;

-- ... of the keys
SELECT a.k, b.v FROM r1 a JOIN r2 b ON a.k IS NOT DISTINCT FROM b.k;

-- a join by rows
SELECT a.k, b.s FROM r1 a JOIN r5 b ON (a.k, a.s) = (b.k, b.s);

-- a join by a comparison of rows
SELECT count(*) FROM r1 a JOIN r5 b ON (a.k, a.n) < (b.k, b.n);

-- a join by OR
SELECT a.k, b.k FROM r1 a JOIN r2 b ON a.k = b.k OR a.v = b.v WHERE a.k < 9;

-- a join by arrays
SELECT a.k, b.k FROM r1 a JOIN r2 b ON a.k = ANY (b.a);

-- ... that overlap
SELECT a.k, b.k FROM r1 a JOIN r5 b ON a.a && b.a;

-- a join by LIKE
SELECT a.k, b.s FROM r1 a JOIN r6 b ON a.s LIKE b.s || '%';

-- a join by BETWEEN
SELECT a.k, b.k FROM r6 a JOIN r2 b ON b.v BETWEEN a.v AND a.v + 2;

-- bigint and integer keys
SELECT a.k, c.k, c.v FROM r1 a JOIN r3 c ON a.k = c.k;

-- a key compared with a numeric
SELECT a.k, b.n FROM r1 a JOIN r2 b ON a.k = b.n;

-- a key and a column of text
SELECT a.s, b.k FROM r4 a JOIN r2 b ON a.s = b.s WHERE b.k < 5;

-- a self join by the key, of four
SELECT count(*) FROM r2 a JOIN r2 b USING (k) JOIN r2 c USING (k) JOIN r2 d USING (k);

-- transitive keys
SELECT a.k, b.v, c.n FROM r1 a, r2 b, r5 c WHERE a.k = b.k AND b.k = c.k;

-- transitive keys, pinned at the other end
SELECT a.k, b.v, c.n FROM r1 a, r2 b, r5 c WHERE a.k = b.k AND b.k = c.k AND c.k = 6;

-- keys that are joined by way of a table that is not
SELECT a.k, c.v FROM r1 a, r6 b, r2 c WHERE a.k = b.v AND b.v = c.k;

-- NOT IN with nulls on both sides
SELECT k, v FROM r2 WHERE v NOT IN (SELECT v FROM r1);

-- NOT IN of an empty query
SELECT k FROM r2 WHERE v NOT IN (SELECT v FROM r7);

-- IN of an empty query
SELECT k FROM r2 WHERE v IN (SELECT v FROM r7);

-- NOT IN, correlated
SELECT a.k, a.v FROM r1 a WHERE a.v NOT IN (SELECT b.v FROM r2 b WHERE b.k = a.k);

-- IN, correlated on another column
SELECT a.k, a.v FROM r1 a WHERE a.v IN (SELECT b.v FROM r2 b WHERE b.s = a.s);

-- rows IN
SELECT a.k FROM r1 a WHERE (a.k, a.v) IN (SELECT b.k, b.v FROM r2 b);

-- rows NOT IN
SELECT a.k FROM r1 a WHERE (a.k, a.v) NOT IN (SELECT b.k, b.v FROM r2 b);

-- semi and anti join together
SELECT a.k FROM r1 a WHERE EXISTS (SELECT FROM r2 b WHERE b.k = a.k) AND NOT EXISTS (SELECT FROM r5 c WHERE c.k = a.k);

-- a semi join in a semi join
SELECT a.k FROM r1 a WHERE EXISTS (SELECT FROM r2 b WHERE b.k = a.k AND EXISTS (SELECT FROM r5 c WHERE c.k = b.k AND c.v = a.v % 4));

-- EXISTS below OR
SELECT a.k FROM r1 a WHERE a.k = 3 OR EXISTS (SELECT FROM r5 c WHERE c.k = a.k);

-- EXISTS as a column
SELECT a.k, EXISTS (SELECT FROM r5 c WHERE c.k = a.k), a.v IN (SELECT v FROM r2 b WHERE b.k = a.k) FROM r1 a;

-- an anti join on the nullable side
SELECT a.k, x.v FROM r1 a LEFT JOIN (SELECT * FROM r2 b WHERE NOT EXISTS (SELECT FROM r5 c WHERE c.k = b.k)) x ON x.k = a.k;

-- a semi join above an outer join
SELECT a.k, b.v FROM r1 a LEFT JOIN r2 b ON a.k = b.k WHERE EXISTS (SELECT FROM r3 c WHERE c.k = b.k);

-- an anti join by a column of the nullable side
SELECT a.k, b.v FROM r1 a LEFT JOIN r2 b ON a.k = b.k WHERE NOT EXISTS (SELECT FROM r3 c WHERE c.k = b.k);

-- lateral, one row for each
SELECT a.k, x.m FROM r1 a, LATERAL (SELECT max(b.v) AS m FROM r2 b WHERE b.k = a.k) x;

-- lateral on any column
SELECT a.k, x.m FROM r1 a, LATERAL (SELECT max(b.v) AS m FROM r2 b WHERE b.s = a.s) x;

-- lateral with LIMIT
SELECT a.k, x.k FROM r1 a, LATERAL (SELECT b.k FROM r2 b WHERE b.s = a.s ORDER BY b.k, b.v LIMIT 1) x;

-- left lateral with LIMIT
SELECT a.k, x.k FROM r1 a LEFT JOIN LATERAL (SELECT b.k FROM r2 b WHERE b.k = a.k ORDER BY b.k LIMIT 1 OFFSET 1) x ON true;

-- lateral over lateral
SELECT a.k, x.v, y.s FROM r1 a, LATERAL (SELECT b.v FROM r2 b WHERE b.k = a.k) x, LATERAL (SELECT c.s FROM r3 c WHERE c.v = x.v) y;

-- lateral VALUES
SELECT a.k, x.w FROM r1 a, LATERAL (VALUES (a.v), (a.k + 1)) x (w) WHERE a.k < 6;

-- lateral set operation
SELECT a.k, x.w FROM r1 a, LATERAL (SELECT b.v FROM r2 b WHERE b.k = a.k UNION SELECT a.v) x (w);

-- lateral grouping
SELECT a.k, x.s, x.n FROM r1 a, LATERAL (SELECT b.s, count(*) AS n FROM r2 b WHERE b.v > a.v GROUP BY b.s HAVING count(*) > 1) x;

-- lateral with columns of a join
SELECT a.k, b.v, x.w FROM r1 a JOIN r2 b ON a.k = b.k, LATERAL (SELECT a.v + b.v AS w) x;

-- a function over a column, beside other tables
SELECT a.k, u, b.v FROM r1 a JOIN r2 b ON a.k = b.k CROSS JOIN unnest(a.a) u;

-- left join of a function over a column
SELECT a.k, u FROM r1 a LEFT JOIN unnest(a.a) u ON u > 1;

-- join of generated numbers with the key
SELECT g, a.s FROM generate_series(1, 30, 3) g LEFT JOIN r1 a ON a.k = g;

-- VALUES joined on the key and on another column
SELECT x.i, a.s, b.s FROM (VALUES (1, 2), (3, NULL), (30, 4)) x (i, j) LEFT JOIN r1 a ON a.k = x.i LEFT JOIN r2 b ON b.v = x.j;

-- joins with parentheses and aliases
SELECT j.k, j.w, c.s FROM ((SELECT k, v FROM r1) x (k, w) LEFT JOIN (SELECT k FROM r2) y USING (k)) AS j JOIN r3 c ON c.k = j.k;

-- five tables
SELECT a.k, b.v, c.s, d.n, e.d FROM r1 a JOIN r2 b ON a.k = b.k LEFT JOIN r3 c ON c.k = b.k LEFT JOIN r4 d ON d.s = c.s JOIN r5 e ON e.k = a.k;

-- five tables that are all joined on other columns
SELECT a.k, b.k, c.k, d.k, e.k FROM r1 a JOIN r2 b ON a.v = b.v JOIN r3 c ON c.s = b.s JOIN r4 d ON d.v = c.v JOIN r6 e ON e.v = d.v WHERE a.n > 3;

-- a join of groups on their keys
SELECT a.k, a.n, b.m FROM (SELECT k, count(*) AS n FROM r2 GROUP BY k) a JOIN (SELECT k, max(v) AS m FROM r3 GROUP BY k) b ON a.k = b.k;

-- ... a full one
SELECT a.k, a.n, b.k, b.m FROM (SELECT k, count(*) AS n FROM r2 GROUP BY k) a FULL JOIN (SELECT k, max(v) AS m FROM r3 GROUP BY k) b ON a.k = b.k;

-- a join of groups on what they count
SELECT a.k, b.s FROM (SELECT k, count(*) AS n FROM r2 GROUP BY k) a JOIN (SELECT s, count(*) AS n FROM r2 GROUP BY s) b ON a.n = b.n;

-- a join of DISTINCT subqueries
SELECT * FROM (SELECT DISTINCT k FROM r2) a JOIN (SELECT DISTINCT k, v FROM r3) b USING (k);

-- a join of a limited subquery
SELECT a.k, b.v FROM (SELECT k FROM r1 ORDER BY n DESC NULLS LAST, k LIMIT 5) a LEFT JOIN r2 b ON a.k = b.k;

-- a semi join of columns of different types, with a condition on the outer side
SELECT i.user_id, i.line FROM order_items i WHERE EXISTS (SELECT FROM gaps g WHERE i.order_id = g.a AND i.product_id < 5);
