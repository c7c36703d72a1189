-- union
SELECT user_id FROM users UNION SELECT user_id FROM orders;

-- union all
SELECT country FROM users WHERE user_id < 10 UNION ALL SELECT code FROM countries;

-- intersect
SELECT user_id FROM users INTERSECT SELECT owner FROM accounts;

-- intersect all
SELECT a FROM gaps INTERSECT ALL SELECT user_id FROM orders;

-- except
SELECT user_id FROM users EXCEPT SELECT user_id FROM orders;

-- except all
SELECT user_id FROM orders EXCEPT ALL SELECT user_id FROM users;

-- nested with precedence
SELECT 1 UNION SELECT user_id FROM users WHERE user_id < 5 EXCEPT (SELECT 2 INTERSECT SELECT id FROM gaps);

-- union of different types
SELECT user_id FROM users WHERE user_id < 4 UNION SELECT total FROM orders WHERE user_id = 1;

-- union with nulls
SELECT a, b FROM gaps UNION SELECT NULL, NULL;

-- ordered union with a limit
-- ordered
SELECT user_id AS x FROM users UNION SELECT id FROM gaps ORDER BY x DESC LIMIT 7 OFFSET 3;

-- union for one key
SELECT order_id FROM orders WHERE user_id = 4 UNION ALL SELECT line FROM order_items WHERE user_id = 4;

-- union for two keys
SELECT order_id FROM orders WHERE user_id = 4 UNION ALL SELECT order_id FROM orders WHERE user_id = 5;

-- union in a subquery, aggregated
SELECT kind, count(*) FROM (SELECT 'user' AS kind, user_id FROM users UNION ALL SELECT 'order', user_id FROM orders) s GROUP BY kind;

-- union of aggregates
SELECT 'users', count(*) FROM users UNION ALL SELECT 'orders', count(*) FROM orders UNION ALL SELECT 'nothing', count(*) FROM nothing;

-- union with limits inside
(SELECT order_id FROM orders ORDER BY order_id LIMIT 3) UNION ALL (SELECT order_id FROM orders ORDER BY order_id DESC LIMIT 3);

-- column counts that differ
-- fails: 42601
SELECT user_id FROM users UNION SELECT user_id, order_id FROM orders;
