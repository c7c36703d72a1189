-- a function alone
SELECT * FROM generate_series(1, 3);

-- ROWS FROM
SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'b'])) WITH ORDINALITY AS t (n, s, o) LEFT JOIN users u ON u.user_id = t.n;

-- jsonb_to_recordset joined
SELECT r.id, r.label, u.name FROM jsonb_to_recordset('[{"id": 3, "label": "x"}, {"id": 4}]') AS r (id int, label text) JOIN users u ON u.user_id = r.id;

-- VALUES alone
VALUES (1, 'a'), (2, 'b');

-- VALUES with a subquery
VALUES ((SELECT count(*) FROM users)), ((SELECT max(order_id) FROM orders));

-- a view
SELECT * FROM order_totals;

-- a view for one key
SELECT * FROM order_totals WHERE user_id = 17;

-- a view with a join inside
SELECT category, count(*) FROM item_names GROUP BY category;

-- two views joined
SELECT a.name, t.spent FROM adults a JOIN order_totals t USING (user_id) WHERE t.orders > 5;

-- a view joined with a table
SELECT n.name, o.status FROM item_names n JOIN orders o USING (user_id, order_id) WHERE n.line = 2;

-- a column alias list
SELECT a, b FROM users AS t (a, b) WHERE a = 3;

-- TABLESAMPLE of everything
SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (100);

-- TABLESAMPLE of nothing
SELECT count(*) FROM orders TABLESAMPLE SYSTEM (0);

-- the name of a schema
SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'no such';

-- catalogs joined with a distributed table
SELECT t.typname, count(*) FROM users u JOIN pg_type t ON t.oid = 'int4'::regtype WHERE u.user_id < 5 GROUP BY 1;

-- select into nothing, a constant query
SELECT 1 + 1, 'a' || 'b', ARRAY[1, 2], ROW(1, 'x');

-- a query without FROM and a subquery
SELECT (SELECT sum(total) FROM orders), EXISTS (SELECT FROM nothing);

-- GROUP BY over a function
SELECT g % 3, count(u.user_id) FROM generate_series(1, 20) g LEFT JOIN users u ON u.user_id = g GROUP BY 1;

-- FOR UPDATE of one key
SELECT * FROM accounts WHERE id = 1000000007 FOR UPDATE;

-- FOR SHARE of one key with a join
SELECT u.name, o.order_id FROM users u JOIN orders o USING (user_id) WHERE u.user_id = 5 FOR SHARE OF u;

-- FOR NO KEY UPDATE SKIP LOCKED of one key
SELECT balance FROM accounts WHERE id = 2000000014 FOR NO KEY UPDATE SKIP LOCKED;
