-- order by the key
-- ordered
SELECT * FROM users ORDER BY user_id;

-- order by several
-- ordered
SELECT user_id, order_id, status FROM orders ORDER BY status DESC, user_id, order_id DESC;

-- nulls first and last
-- ordered
SELECT id, a, b FROM gaps ORDER BY a NULLS FIRST, b DESC NULLS LAST, id;

-- order by position and alias
-- ordered
SELECT user_id AS x, -order_id AS y FROM orders ORDER BY 1, y;

-- order by an expression that is not shown
-- ordered
SELECT order_id FROM orders ORDER BY order_id % 10, order_id / 10;

-- order by text
-- ordered
SELECT name, user_id FROM users ORDER BY name, user_id;

-- order USING an operator
-- ordered
SELECT user_id FROM users ORDER BY user_id USING >;

-- limit
-- ordered
SELECT order_id, total FROM orders ORDER BY total DESC NULLS LAST, order_id LIMIT 10;

-- limit and offset
-- ordered
SELECT order_id FROM orders ORDER BY order_id LIMIT 10 OFFSET 25;

-- offset only
-- ordered
SELECT order_id FROM orders ORDER BY order_id OFFSET 230;

-- limit zero
SELECT order_id FROM orders LIMIT 0;

-- limit null and limit all
SELECT count(*) FROM (SELECT 1 FROM orders LIMIT ALL) a, (SELECT 1 FROM users LIMIT NULL) b;

-- limit beyond the end
SELECT user_id FROM users LIMIT 1000;

-- limit by an expression
-- ordered
SELECT user_id FROM users ORDER BY user_id LIMIT (SELECT count(*) FROM countries) OFFSET 1 + 1;

-- a negative limit
-- fails: 2201W
SELECT user_id FROM users LIMIT -1;

-- limit without order has that many rows
SELECT count(*) FROM (SELECT * FROM orders LIMIT 17) s;

-- fetch first
-- ordered
SELECT order_id FROM orders ORDER BY order_id FETCH FIRST 3 ROWS ONLY;

-- fetch first with ties
SELECT user_id FROM orders ORDER BY user_id FETCH FIRST 3 ROWS WITH TIES;

-- with ties and offset
SELECT status, user_id FROM orders ORDER BY status, user_id OFFSET 4 ROWS FETCH NEXT 7 ROWS WITH TIES;

-- limit for one key
-- ordered
SELECT order_id, total FROM orders WHERE user_id = 13 ORDER BY order_id DESC LIMIT 2;

-- distinct
SELECT DISTINCT status FROM orders;

-- distinct of the key
SELECT DISTINCT user_id FROM order_items;

-- distinct rows of a table with duplicates
SELECT DISTINCT * FROM events;

-- distinct with order and limit
-- ordered
SELECT DISTINCT country FROM users ORDER BY country NULLS FIRST LIMIT 3;

-- distinct with nulls
SELECT DISTINCT a, c FROM gaps;

-- distinct on
-- ordered
SELECT DISTINCT ON (status) status, order_id, total FROM orders ORDER BY status, total DESC NULLS LAST, order_id;

-- distinct on the key
SELECT DISTINCT ON (user_id) user_id, order_id FROM orders ORDER BY user_id, ordered_at DESC;

-- distinct on an expression with a limit
-- ordered
SELECT DISTINCT ON (user_id % 5) user_id % 5, user_id FROM users ORDER BY user_id % 5, user_id DESC LIMIT 4;

-- order in a subquery, limit outside
-- ordered
SELECT * FROM (SELECT user_id, name FROM users ORDER BY user_id DESC LIMIT 20) s ORDER BY name LIMIT 5;

-- order by a column of the other table
-- ordered
SELECT o.order_id FROM orders o JOIN users u USING (user_id) ORDER BY u.name DESC, o.order_id LIMIT 12;

-- order by random has all rows
SELECT count(*) FROM (SELECT user_id FROM users ORDER BY random()) s;

-- names in the result that are those of other columns
-- ordered
SELECT order_id AS user_id, user_id AS order_id FROM orders ORDER BY orders.user_id, orders.order_id LIMIT 5;

-- two columns of one name
-- ordered
SELECT user_id, user_id + 1 AS user_id FROM users ORDER BY 1 LIMIT 3;

-- ... of one key
-- ordered
SELECT total AS order_id, order_id AS total FROM orders WHERE user_id = 8 ORDER BY orders.order_id DESC;

-- ... with DISTINCT ON
-- ordered
SELECT DISTINCT ON (orders.user_id) order_id AS user_id, user_id AS u FROM orders ORDER BY orders.user_id, order_id;
