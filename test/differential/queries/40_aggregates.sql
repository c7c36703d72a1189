-- count of all
SELECT count(*) FROM orders;

-- aggregates of an empty table
SELECT count(*), count(v), sum(id), avg(id), max(v), array_agg(v), bool_and(id > 0) FROM nothing;

-- aggregates of no row
SELECT count(*), sum(total), max(order_id) FROM orders WHERE user_id = 4711;

-- the usual ones
SELECT count(*), count(total), sum(total), avg(total), min(total), max(total), min(note), max(ordered_at) FROM orders;

-- variance and the like
SELECT round(stddev(total), 8), round(var_pop(total), 8), round(stddev_samp(n), 6) FROM orders LEFT JOIN kv ON kv.n = order_id;

-- sums of integers of each width
SELECT sum(i2), sum(i8), sum(user_id), avg(i2), pg_typeof(sum(i2)), pg_typeof(sum(i8)), pg_typeof(avg(user_id)) FROM types, users WHERE user_id < 3;

-- aggregates for one key
SELECT count(*), sum(total), max(ordered_at) FROM orders WHERE user_id = 11;

-- group by the key
SELECT user_id, count(*), sum(total) FROM orders GROUP BY user_id;

-- group by another column
SELECT status, count(*), sum(total), avg(total), min(ordered_at) FROM orders GROUP BY status;

-- group by a column with nulls
SELECT a, b, count(*), sum(d) FROM gaps GROUP BY a, b;

-- group by an expression
SELECT date_trunc('month', ordered_at), count(*) FROM orders GROUP BY 1;

-- group by an expression that is not shown
SELECT count(*) FROM orders GROUP BY order_id % 7;

-- group by without aggregates
SELECT country FROM users GROUP BY country;

-- group by primary key, other columns follow
SELECT user_id, name, count(order_id) FROM users LEFT JOIN orders USING (user_id) GROUP BY users.user_id;

-- HAVING
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING count(*) > 5 AND sum(total) > 1000;

-- HAVING without GROUP BY
SELECT sum(total) FROM orders HAVING count(*) > 1000;

-- HAVING on the group column
SELECT status, count(*) FROM orders GROUP BY status HAVING status > 'p';

-- count distinct of the key
SELECT count(DISTINCT user_id) FROM orders;

-- count distinct of another column
SELECT count(DISTINCT status), count(DISTINCT total), sum(DISTINCT order_id % 10) FROM orders;

-- distinct aggregates by group
SELECT status, count(DISTINCT user_id), count(DISTINCT note) FROM orders GROUP BY status;

-- FILTER
SELECT count(*) FILTER (WHERE status = 'paid'), sum(total) FILTER (WHERE note IS NULL), count(DISTINCT user_id) FILTER (WHERE total > 400) FROM orders;

-- FILTER by group
SELECT user_id % 4, count(*) FILTER (WHERE total > 250), max(total) FILTER (WHERE false) FROM orders GROUP BY 1;

-- ordered aggregates
SELECT string_agg(name, ',' ORDER BY user_id), array_agg(user_id ORDER BY name DESC) FROM users WHERE user_id < 20;

-- ordered aggregates by group
SELECT status, array_agg(order_id ORDER BY total DESC NULLS LAST, order_id), string_agg(DISTINCT note, ';' ORDER BY note) FROM orders GROUP BY status;

-- jsonb_agg and jsonb_object_agg
SELECT jsonb_agg(n ORDER BY n), jsonb_object_agg(key, n) FROM kv WHERE n < 9;

-- ordered-set aggregates
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY status) FROM orders;

-- ordered-set aggregates by group
SELECT status, percentile_disc(0.25) WITHIN GROUP (ORDER BY order_id) FROM orders GROUP BY status;

-- hypothetical-set aggregates
SELECT rank(250) WITHIN GROUP (ORDER BY total), dense_rank(100) WITHIN GROUP (ORDER BY total DESC), cume_dist(5) WITHIN GROUP (ORDER BY user_id) FROM orders;

-- boolean and bit aggregates
SELECT bool_and(c), bool_or(c), every(a > 0), bit_and(id), bit_or(a), bit_xor(id) FROM gaps;

-- statistical aggregates over two columns
SELECT regr_count(d, a), round(corr(d, a)::numeric, 8), round(regr_slope(d, id)::numeric, 8) FROM gaps;

-- range aggregates
SELECT range_agg(r), range_intersect_agg(int4range(0, 100)) FROM types;

-- min and max of many types
SELECT min(at), max(at), min(device), max(kind) FROM events;

-- min and max of arrays, inet and intervals
SELECT max(tags) FROM users;

-- an aggregate of an expression of two tables
SELECT u.country, sum(o.total * 2 + u.user_id) FROM users u JOIN orders o USING (user_id) GROUP BY u.country;

-- an expression of aggregates
SELECT user_id, sum(total) / nullif(count(total), 0) + max(order_id), count(*) * 100 / (SELECT count(*) FROM orders) FROM orders GROUP BY user_id;

-- aggregate of an aggregate by subquery
SELECT max(n), avg(n), count(*) FROM (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) s;

-- aggregate with a subquery inside
SELECT count(*), sum((SELECT max(n) FROM kv) + user_id) FROM users;

-- grouping sets
SELECT status, user_id % 3, count(*), grouping(status, user_id % 3) FROM orders GROUP BY GROUPING SETS ((status), (user_id % 3), ());

-- rollup
SELECT country, active, count(*), grouping(country), grouping(active) FROM users GROUP BY ROLLUP (country, active);

-- cube
SELECT a, c, count(*), sum(d) FROM gaps GROUP BY CUBE (a, c);

-- mixed grouping sets
SELECT status, note, count(*) FROM orders GROUP BY status, ROLLUP (note) HAVING count(*) > 1;

-- grouping by DISTINCT sets
SELECT a, b, count(*) FROM gaps GROUP BY DISTINCT ROLLUP (a, b), ROLLUP (a);

-- grouping sets with an empty table
SELECT v, count(*) FROM nothing GROUP BY GROUPING SETS ((v), ());

-- grouping by a constant column
SELECT count(*) FROM users GROUP BY ();

-- group by key with a join to a reference table
SELECT i.user_id, p.category, sum(i.quantity) FROM order_items i JOIN products p USING (product_id) GROUP BY i.user_id, p.category;

-- an aggregate over a left join
SELECT u.user_id, count(o.*), coalesce(sum(o.total), 0) FROM users u LEFT JOIN orders o USING (user_id) GROUP BY u.user_id;

-- count of whole rows
SELECT count(u), count(u.*), count(DISTINCT u.country) FROM users u;

-- a group with overflow
-- fails: 22003
SELECT sum(id * 9000000000000) FROM accounts;

-- ordered by an aggregate
-- ordered
SELECT user_id, count(*) FROM orders GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT 5;

-- select distinct with an aggregate
SELECT DISTINCT count(*) FROM orders GROUP BY user_id;

-- an aggregate without rows by group
SELECT user_id, count(*) FROM orders WHERE false GROUP BY user_id;
