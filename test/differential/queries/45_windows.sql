-- row number over everything
SELECT order_id, row_number() OVER (ORDER BY order_id) FROM orders;

-- partition by the key
SELECT user_id, order_id, rank() OVER (PARTITION BY user_id ORDER BY total DESC NULLS LAST, order_id), sum(total) OVER (PARTITION BY user_id) FROM orders;

-- partition by another column
SELECT status, order_id, dense_rank() OVER (PARTITION BY status ORDER BY ordered_at), count(*) OVER (PARTITION BY status) FROM orders;

-- a window for one key
SELECT order_id, lag(total) OVER w, lead(total, 1, 0.0) OVER w, first_value(order_id) OVER w FROM orders WHERE user_id = 6 WINDOW w AS (ORDER BY order_id);

-- frames by rows
SELECT sensor, day, avg(value) OVER (PARTITION BY sensor ORDER BY day ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) FROM measurements;

-- frames by range
SELECT sensor, day, count(*) OVER (ORDER BY day RANGE BETWEEN '2 days' PRECEDING AND CURRENT ROW) FROM measurements;

-- frames by groups with exclusion
SELECT sensor, day, sum(value) OVER (ORDER BY day GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES), nth_value(value, 2) OVER (PARTITION BY day ORDER BY sensor) FROM measurements;

-- ntile, percent_rank and cume_dist
SELECT user_id, ntile(4) OVER w, percent_rank() OVER w, cume_dist() OVER w FROM users WINDOW w AS (ORDER BY user_id);

-- a window over groups
SELECT status, count(*), rank() OVER (ORDER BY count(*) DESC, status), sum(count(*)) OVER () FROM orders GROUP BY status;

-- a window with FILTER
SELECT id, count(*) FILTER (WHERE c) OVER (PARTITION BY a ORDER BY id) FROM gaps;

-- a window in a subquery, filtered outside
SELECT * FROM (SELECT user_id, order_id, row_number() OVER (PARTITION BY user_id ORDER BY order_id DESC) AS n FROM orders) s WHERE n <= 2;

-- one window on top of another
SELECT user_id, order_id, sum(total) OVER (w ORDER BY order_id) FROM orders WINDOW w AS (PARTITION BY user_id);

-- a window over a join
SELECT u.country, o.order_id, row_number() OVER (PARTITION BY u.country ORDER BY o.order_id) FROM users u JOIN orders o USING (user_id);

-- order by a window
-- ordered
SELECT order_id FROM orders ORDER BY rank() OVER (PARTITION BY user_id ORDER BY order_id), order_id LIMIT 30;

-- distinct over a window
SELECT DISTINCT status, count(*) OVER (PARTITION BY status) FROM orders;
