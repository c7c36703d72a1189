-- inner join on the key
SELECT u.name, o.order_id, o.total FROM users u JOIN orders o ON o.user_id = u.user_id;

-- inner join on the key, one key
SELECT u.name, o.order_id FROM users u JOIN orders o ON o.user_id = u.user_id WHERE u.user_id = 12;

-- the key is given for the other table
SELECT u.name, o.order_id FROM users u, orders o WHERE o.user_id = u.user_id AND o.user_id = 12;

-- three tables on the key
SELECT u.name, o.order_id, i.line, i.price FROM users u JOIN orders o USING (user_id) JOIN order_items i USING (user_id, order_id) WHERE o.status = 'paid';

-- three tables, one key
SELECT u.name, o.order_id, i.line FROM users u JOIN orders o USING (user_id) JOIN order_items i USING (user_id, order_id) WHERE u.user_id = 8;

-- left join on the key
SELECT u.user_id, o.order_id FROM users u LEFT JOIN orders o USING (user_id);

-- left join with a condition in ON
SELECT u.user_id, o.order_id FROM users u LEFT JOIN orders o ON u.user_id = o.user_id AND o.total > 400;

-- left join, unmatched rows only
SELECT u.user_id FROM users u LEFT JOIN orders o USING (user_id) WHERE o.user_id IS NULL;

-- left join where only the inner side has the key
SELECT u.user_id, o.order_id FROM users u LEFT JOIN orders o ON o.user_id = u.user_id AND o.user_id = 5;

-- left join, key of the outer side
SELECT u.user_id, o.order_id FROM users u LEFT JOIN orders o ON o.user_id = u.user_id WHERE u.user_id = 45;

-- right join
SELECT o.order_id, u.name FROM orders o RIGHT JOIN users u USING (user_id);

-- full join on the key
SELECT coalesce(u.user_id, m.sensor), u.name, m.value FROM users u FULL JOIN measurements m ON u.user_id = m.sensor * 10;

-- full join of two distributed tables on their keys
SELECT u.user_id, g.id, g.a FROM users u FULL JOIN gaps g ON g.id = u.user_id + 30;

-- full join with USING
SELECT user_id, u.name, o.order_id FROM users u FULL JOIN (SELECT * FROM orders WHERE order_id % 40 = 0) o USING (user_id);

-- cross join
SELECT u.user_id, c.code FROM users u CROSS JOIN countries c WHERE u.user_id < 5;

-- cross join of two distributed tables
SELECT count(*) FROM users a, gaps b;

-- natural join
SELECT count(*), sum(price) FROM orders NATURAL JOIN order_items;

-- join with a reference table
SELECT i.user_id, i.order_id, p.name FROM order_items i JOIN products p USING (product_id) WHERE p.category = 'books';

-- join with a reference table, one key
SELECT i.order_id, i.line, p.name FROM order_items i JOIN products p USING (product_id) WHERE i.user_id = 9;

-- reference table on the outer side
SELECT p.product_id, count(i.line) FROM products p LEFT JOIN order_items i USING (product_id) GROUP BY p.product_id;

-- reference tables only
SELECT a.name, b.name FROM products a JOIN countries b ON length(b.name) = a.product_id;

-- join on another column than the key
SELECT u.user_id, a.id FROM users u JOIN accounts a ON a.owner = u.user_id;

-- join on text columns of tables split differently
SELECT e.device, k.key, k.n FROM events e JOIN kv k ON k.n = length(e.device) WHERE e.kind = 'start';

-- self join on the key
SELECT a.order_id, b.order_id FROM orders a JOIN orders b ON a.user_id = b.user_id AND a.order_id < b.order_id WHERE a.total > 300;

-- self join on another column
SELECT a.user_id, b.user_id FROM users a JOIN users b ON a.country = b.country AND a.user_id < b.user_id WHERE a.born > '1980-01-01';

-- self join, two keys
SELECT a.name, b.name FROM users a, users b WHERE a.user_id = 3 AND b.user_id = 4;

-- join of keys of different integer types
SELECT u.name, a.balance FROM users u JOIN accounts a ON a.id = u.user_id::bigint * 1000000007;

-- inequality join
SELECT a.sensor, count(*) FROM measurements a JOIN measurements b ON a.value > b.value AND a.day = b.day GROUP BY a.sensor;

-- join with a local table
SELECT u.user_id, r.region FROM users u JOIN regions r USING (country);

-- left join with a local table
SELECT u.user_id, r.region FROM users u LEFT JOIN regions r ON r.country = u.country WHERE u.user_id < 12;

-- local, reference and distributed
SELECT c.name, r.region, count(u.user_id) FROM countries c LEFT JOIN regions r ON r.country = c.code LEFT JOIN users u ON u.country = c.code GROUP BY c.name, r.region;

-- semi join by EXISTS on the key
SELECT u.user_id FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.user_id = u.user_id AND o.status = 'returned');

-- anti join by NOT EXISTS on the key
SELECT u.user_id FROM users u WHERE NOT EXISTS (SELECT FROM orders o WHERE o.user_id = u.user_id);

-- semi join by IN
SELECT name FROM users WHERE user_id IN (SELECT user_id FROM orders WHERE total > 480);

-- semi join on another column
SELECT name FROM users WHERE user_id IN (SELECT owner FROM accounts WHERE balance > 400);

-- NOT IN a query with nulls
SELECT user_id FROM users WHERE user_id NOT IN (SELECT a FROM gaps);

-- NOT IN a query without nulls
SELECT user_id FROM users WHERE user_id NOT IN (SELECT a FROM gaps WHERE a IS NOT NULL);

-- lateral subquery on the key
SELECT u.user_id, l.order_id FROM users u, LATERAL (SELECT order_id FROM orders o WHERE o.user_id = u.user_id ORDER BY order_id DESC LIMIT 2) l;

-- left join lateral
SELECT u.user_id, l.n FROM users u LEFT JOIN LATERAL (SELECT count(*) AS n, u.user_id AS x FROM order_items i WHERE i.user_id = u.user_id) l ON true;

-- lateral on another column
SELECT k.key, l.device FROM kv k CROSS JOIN LATERAL (SELECT device FROM events e WHERE length(e.device) = k.n ORDER BY device, at, kind LIMIT 1) l;

-- lateral function
SELECT u.user_id, t.tag, t.ordinality FROM users u CROSS JOIN LATERAL unnest(u.tags) WITH ORDINALITY AS t (tag, ordinality);

-- lateral jsonb function
SELECT u.user_id, j.key, j.value FROM users u, jsonb_each(u.profile) j WHERE u.user_id < 10;

-- join with generate_series
SELECT g, u.name FROM generate_series(1, 10) g JOIN users u ON u.user_id = g * 3;

-- left join from generate_series
SELECT d::date, count(o.order_id) FROM generate_series(timestamp '2023-01-01', '2023-01-31', '1 day') d LEFT JOIN orders o ON o.ordered_at::date = d::date GROUP BY d;

-- join with VALUES
SELECT v.label, u.name FROM (VALUES (1, 'one'), (2, 'two'), (99, 'none')) v (id, label) LEFT JOIN users u ON u.user_id = v.id;

-- join with an aggregated subquery
SELECT u.name, s.n FROM users u JOIN (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) s ON s.user_id = u.user_id WHERE s.n > 6;

-- nested joins with parentheses
SELECT u.user_id, o.order_id, i.line FROM users u LEFT JOIN (orders o JOIN order_items i USING (user_id, order_id)) ON o.user_id = u.user_id AND i.line = 1;

-- join alias with column names
SELECT j.a, j.b FROM (users u JOIN orders o USING (user_id)) AS j (a, b) WHERE j.a < 5;

-- join with an alias of USING
SELECT x.user_id, u.name FROM users u JOIN orders o USING (user_id) AS x WHERE o.total > 450;

-- condition across tables that is not a join clause
SELECT u.user_id, o.order_id FROM users u JOIN orders o USING (user_id) WHERE o.ordered_at::date - u.born > 26000;

-- outer joins in a chain
SELECT u.user_id, o.order_id, i.line, p.name FROM users u LEFT JOIN orders o USING (user_id) LEFT JOIN order_items i USING (user_id, order_id) LEFT JOIN products p USING (product_id) WHERE u.user_id > 35;

-- outer join made inner by the condition
SELECT u.user_id, o.order_id FROM users u LEFT JOIN orders o USING (user_id) WHERE o.status = 'new';

-- null keys never join
SELECT count(*) FROM gaps x JOIN gaps y ON x.a = y.a;

-- join on IS NOT DISTINCT FROM
SELECT count(*) FROM gaps x JOIN gaps y ON x.a IS NOT DISTINCT FROM y.a;

-- an empty table joined
SELECT u.user_id, n.v FROM users u LEFT JOIN nothing n ON n.id = u.user_id WHERE u.user_id < 6;

-- join with an empty table
SELECT * FROM users u JOIN nothing n ON n.id = u.user_id;

-- seven tables
SELECT count(*), sum(i.price) FROM users u JOIN orders o USING (user_id) JOIN order_items i USING (user_id, order_id) JOIN products p USING (product_id) JOIN countries c ON c.code = u.country JOIN regions r ON r.country = u.country JOIN accounts a ON a.owner = u.user_id;

-- a value of the outer side that a lateral subquery computes with
SELECT i.line, l.y FROM order_items i LEFT JOIN LATERAL (SELECT greatest(i.price, b.n) AS y FROM r1 a LEFT JOIN r1 b ON a.d = b.d) l ON true WHERE l.y IN (2.25, 80.5, 1);

-- ... beside a table of which nothing else is needed
SELECT a.k, l.x FROM r2 a LEFT JOIN LATERAL (SELECT a.v + coalesce(b.v, 0) AS x FROM r3 c LEFT JOIN r4 b ON b.k = c.v) l ON l.x > 3 WHERE a.k < 5;
