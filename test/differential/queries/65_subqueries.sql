-- scalar subquery in the select list
SELECT user_id, (SELECT count(*) FROM orders o WHERE o.user_id = u.user_id) FROM users u;

-- scalar subquery that is not correlated
SELECT order_id, total - (SELECT avg(total) FROM orders) FROM orders WHERE total > (SELECT max(total) * 0.9 FROM orders);

-- scalar subquery on another column
SELECT a.id, (SELECT name FROM users u WHERE u.user_id = a.owner) FROM accounts a;

-- a scalar subquery with more than one row
-- fails: 21000
SELECT (SELECT user_id FROM users) FROM countries;

-- scalar subquery without a row
SELECT user_id, (SELECT v FROM nothing n WHERE n.id = user_id) FROM users WHERE user_id < 4;

-- EXISTS without correlation
SELECT user_id FROM users WHERE EXISTS (SELECT 1 FROM nothing) OR user_id = 1;

-- key given by a subquery
SELECT name FROM users WHERE user_id = (SELECT max(user_id) FROM orders);

-- ANY and ALL
SELECT user_id FROM users WHERE user_id >= ALL (SELECT user_id FROM orders) OR user_id < ANY (SELECT a FROM gaps WHERE a > 0);

-- row subquery
SELECT user_id, order_id FROM orders WHERE (user_id, order_id) = (SELECT user_id, order_id FROM orders ORDER BY total DESC NULLS LAST, order_id LIMIT 1);

-- ARRAY subquery
SELECT user_id, ARRAY(SELECT order_id FROM orders o WHERE o.user_id = u.user_id ORDER BY order_id) FROM users u WHERE user_id < 6;

-- correlated over two levels
SELECT u.user_id FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.user_id = u.user_id AND EXISTS (SELECT FROM order_items i WHERE i.user_id = u.user_id AND i.order_id = o.order_id AND i.quantity > 3));

-- correlated on a column that is not the key
SELECT o.order_id FROM orders o WHERE total = (SELECT max(total) FROM orders x WHERE x.status = o.status);

-- in FROM
SELECT s.c, count(*) FROM (SELECT country AS c, user_id FROM users WHERE active) s GROUP BY s.c;

-- in FROM, nested
SELECT max(x) FROM (SELECT sum(y) AS x FROM (SELECT user_id % 5 AS m, total AS y FROM orders) a GROUP BY m) b;

-- in FROM with a limit, then joined
SELECT s.order_id, u.name FROM (SELECT * FROM orders ORDER BY order_id LIMIT 10) s JOIN users u USING (user_id);

-- in HAVING
SELECT user_id, sum(total) FROM orders GROUP BY user_id HAVING sum(total) > (SELECT avg(t) FROM (SELECT sum(total) AS t FROM orders GROUP BY user_id) x);

-- in ORDER BY
-- ordered
SELECT user_id FROM users u ORDER BY (SELECT count(*) FROM orders o WHERE o.user_id = u.user_id) DESC, user_id LIMIT 8;

-- in CASE
SELECT user_id, CASE WHEN EXISTS (SELECT FROM orders o WHERE o.user_id = u.user_id) THEN (SELECT sum(total) FROM orders o WHERE o.user_id = u.user_id) ELSE 0 END FROM users u;

-- IN with a reference table
SELECT count(*) FROM order_items WHERE product_id IN (SELECT product_id FROM products WHERE category = 'food');

-- NOT EXISTS with a reference table outside
SELECT product_id FROM products p WHERE NOT EXISTS (SELECT FROM order_items i WHERE i.product_id = p.product_id);

-- a subquery over a local table
SELECT user_id FROM users WHERE country IN (SELECT country FROM regions WHERE region = 'Asia');

-- a local table filtered by a distributed one
SELECT * FROM regions r WHERE EXISTS (SELECT FROM users u WHERE u.country = r.country AND u.user_id > 30);

-- VALUES in IN
SELECT name FROM users WHERE (user_id, country) IN (VALUES (1, 'FR'), (5, 'DE'), (7, 'XX'));

-- a subquery under a function
SELECT coalesce((SELECT max(v) FROM nothing), 'empty'), abs((SELECT min(a) - 10 FROM gaps));

-- IN with an aggregate inside
SELECT order_id FROM orders WHERE order_id IN (SELECT max(order_id) FROM orders GROUP BY user_id);

-- a key compared to a subquery of one key
SELECT order_id FROM orders WHERE user_id = (SELECT user_id FROM users WHERE user_id = 9);
