-- variance and deviation of every numeric type
SELECT variance(i2), var_pop(i2), stddev(i8), stddev_pop(i8), var_samp(n), stddev_samp(n), var_pop(n), stddev_pop(n) FROM types;

-- variance by group on another column
SELECT status, variance(total), stddev_pop(user_id), var_samp(order_id), avg(order_id) FROM orders GROUP BY status;

-- variance of a group of one row, and of none
SELECT variance(total), stddev_pop(total), avg(total) FROM orders WHERE order_id = 3;

-- variance of nothing
SELECT variance(total), stddev_pop(total), var_samp(user_id), corr(user_id, order_id), regr_count(user_id, order_id) FROM orders WHERE order_id < 0;

-- floating point sums, means and deviations
SELECT kind, sum(reading), avg(reading), stddev(reading), var_pop(reading) FROM events GROUP BY kind;

-- floating point of four bytes
SELECT sum(f4), avg(f4), stddev(f4), var_pop(f8), avg(f8) FROM types;

-- regression and correlation
SELECT regr_count(total, user_id), regr_avgx(total, user_id), regr_avgy(total, user_id), regr_sxx(total, user_id), regr_syy(total, user_id), regr_sxy(total, user_id), regr_slope(total, user_id), regr_intercept(total, user_id), regr_r2(total, user_id), corr(total, user_id), covar_pop(total, user_id), covar_samp(total, user_id) FROM orders;

-- regression by group, with a filter
SELECT status, regr_slope(total::float8, user_id) FILTER (WHERE total > 100), corr(order_id, user_id) FROM orders GROUP BY status;

-- intervals
SELECT sum(iv), avg(iv), min(iv) FROM types;

-- bits and truth
SELECT bit_and(user_id), bit_or(user_id), bit_xor(user_id), every(active), bool_or(active) FROM users;

-- intersection of ranges
SELECT range_intersect_agg(r) FROM types;

-- different values of several columns at once
SELECT count(DISTINCT status), count(DISTINCT note), count(*), sum(total), avg(total), count(DISTINCT user_id) FROM orders;

-- different values by group, beside sums
SELECT status, count(DISTINCT note), sum(DISTINCT total), sum(total), count(*) FROM orders GROUP BY status;

-- different values with a filter
SELECT count(DISTINCT note) FILTER (WHERE total > 250), count(DISTINCT status) FILTER (WHERE note IS NULL), count(*) FROM orders;

-- different values of nothing
SELECT count(DISTINCT note), sum(DISTINCT total), count(*) FROM orders WHERE user_id < 0;

-- different values of a constant
SELECT count(DISTINCT 5), count(*) FROM orders WHERE user_id < 0;

-- different values put in order
SELECT string_agg(DISTINCT status, ',' ORDER BY status), array_agg(DISTINCT user_id % 3 ORDER BY user_id % 3 DESC) FROM orders;

-- different pairs
SELECT regr_count(DISTINCT user_id % 5, order_id % 3), count(DISTINCT (user_id % 5, status)) FROM orders;

-- grouping sets
SELECT status, user_id % 3, count(*), sum(total), GROUPING(status, user_id % 3) FROM orders GROUP BY GROUPING SETS ((status), (user_id % 3), (status, user_id % 3), ());

-- ROLLUP of nothing has a total
SELECT status, count(*), sum(total) FROM orders WHERE user_id < 0 GROUP BY ROLLUP (status);

-- CUBE with HAVING
SELECT status, note, count(*), avg(total) FROM orders GROUP BY CUBE (status, note) HAVING count(*) > 5;

-- ROLLUP over the distribution column
SELECT user_id, status, count(*) FROM orders WHERE user_id < 5 GROUP BY ROLLUP (user_id, status);

-- grouping sets with different values
SELECT status, note, count(DISTINCT user_id), count(DISTINCT total) FROM orders GROUP BY GROUPING SETS ((status), (note), ());

-- the same grouping sets twice, once
SELECT status, count(*) FROM orders GROUP BY DISTINCT GROUPING SETS ((status), (status), ());

-- HAVING with a subquery
SELECT status, sum(total) FROM orders GROUP BY status HAVING sum(total) > (SELECT avg(total) FROM orders);

-- HAVING with a subquery that is of one key
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING count(*) > (SELECT count(*) / 10 FROM orders WHERE status = 'paid');

-- an aggregate beside a subquery
SELECT count(*), (SELECT max(born) FROM users), (SELECT count(*) FROM regions) FROM orders WHERE total > (SELECT avg(total) FROM orders);

-- the same subquery twice
SELECT status || (SELECT max(code) FROM countries), total > (SELECT avg(price) FROM order_items), count(*) FROM orders GROUP BY status, total > (SELECT avg(price) FROM order_items);

-- a subquery that fails
-- fails: 21000
SELECT count(*) FROM orders WHERE total > (SELECT price FROM order_items);

-- EXISTS of a table elsewhere
SELECT count(*) FROM orders WHERE EXISTS (SELECT FROM regions WHERE country = 'DE') AND NOT EXISTS (SELECT FROM nothing);

-- an array of a subquery
SELECT count(*) FROM orders WHERE user_id = ANY (ARRAY(SELECT owner FROM accounts WHERE balance > 10));

-- a parameter beside a subquery
PREPARE q (int) AS SELECT count(*) FROM orders WHERE user_id > $1 AND total > (SELECT avg(total) FROM orders WHERE user_id > $1);
EXECUTE q (3); EXECUTE q (30); EXECUTE q (NULL);
SET plan_cache_mode = force_generic_plan;
EXECUTE q (3); EXECUTE q (NULL);
