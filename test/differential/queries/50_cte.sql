-- a simple one
WITH big AS (SELECT * FROM orders WHERE total > 400) SELECT user_id, count(*) FROM big GROUP BY user_id;

-- used twice
WITH s AS (SELECT user_id, sum(total) AS t FROM orders GROUP BY user_id) SELECT a.user_id, b.user_id FROM s a JOIN s b ON a.t < b.t AND a.user_id = b.user_id + 1;

-- materialized
WITH s AS MATERIALIZED (SELECT * FROM users WHERE active) SELECT count(*) FROM s JOIN orders USING (user_id);

-- not materialized
WITH s AS NOT MATERIALIZED (SELECT * FROM orders) SELECT * FROM s WHERE user_id = 3;

-- one that uses another
WITH a AS (SELECT user_id FROM users WHERE country = 'DE'), b AS (SELECT o.* FROM orders o JOIN a USING (user_id)) SELECT status, count(*) FROM b GROUP BY status;

-- for one key
WITH o AS (SELECT * FROM orders WHERE user_id = 5) SELECT o.order_id, u.name FROM o JOIN users u USING (user_id);

-- not used
WITH unused AS (SELECT * FROM orders) SELECT user_id FROM users WHERE user_id < 3;

-- with column names
WITH t (x, y) AS (SELECT user_id, name FROM users) SELECT y FROM t WHERE x = 8;

-- recursive without a table
WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT t.n, u.name FROM t LEFT JOIN users u ON u.user_id = t.n * 7;

-- recursive over a distributed table
WITH RECURSIVE chain (id, step) AS (SELECT 1, 0 UNION ALL SELECT g.id + 7, step + 1 FROM chain c JOIN gaps g ON g.id = c.id WHERE step < 20) SELECT * FROM chain;

-- recursive with UNION
WITH RECURSIVE r (owner) AS (SELECT 1 UNION SELECT (a.owner * 3) % 46 FROM accounts a JOIN r ON a.owner = r.owner) SELECT * FROM r;

-- recursive with SEARCH
-- ordered
WITH RECURSIVE t (id) AS (SELECT user_id FROM users WHERE user_id IN (1, 2) UNION ALL SELECT u.user_id FROM users u JOIN t ON u.user_id = t.id * 2 + 1) SEARCH DEPTH FIRST BY id SET o SELECT id FROM t ORDER BY o;

-- recursive with CYCLE
WITH RECURSIVE t (id) AS (SELECT 1 UNION ALL SELECT (u.user_id * 2) % 15 FROM users u JOIN t ON u.user_id = t.id) CYCLE id SET looped USING path SELECT id, looped FROM t;

-- inside a subquery
SELECT user_id FROM users WHERE user_id IN (WITH x AS (SELECT user_id FROM orders WHERE total > 470) SELECT user_id FROM x);

-- a values list
WITH v (id, label) AS (VALUES (1, 'a'), (2, 'b')) SELECT v.label, u.name FROM v JOIN users u ON u.user_id = v.id;

-- nested
WITH a AS (WITH b AS (SELECT * FROM kv WHERE n < 10) SELECT value, count(*) AS c FROM b GROUP BY value) SELECT sum(c) FROM a;
