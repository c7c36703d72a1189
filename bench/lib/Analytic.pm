package Analytic;

# A shop's tables and 25 questions about them, for bench/run: counts, groups,
# joins of colocated tables and with reference tables, different values,
# percentiles, windows, subqueries and CTEs.

use strict;
use warnings;

# In the order of loading: name, distribution column (none: a reference table),
# columns and the rows as a query over generate_series.
our @tables = (
	{
		name => 'region',
		columns => 'id integer PRIMARY KEY, name text',
		rows => q{SELECT i, 'region ' || i FROM generate_series(1, 20) i}
	},
	{
		name => 'product',
		columns => 'id integer PRIMARY KEY, name text, category text, price numeric(10,2)',
		rows => q{SELECT i, 'product ' || i, 'category ' || i % 12, (i * 37 % 9000) / 100.0 + 1 FROM generate_series(1, 1000) i}
	},
	{
		name => 'customer',
		key => 'id',
		columns => 'id integer PRIMARY KEY, name text, region_id integer, since date, score double precision',
		rows => q{SELECT i, 'customer ' || i, i % 20 + 1, date '2015-01-01' + i % 3000, (i * 7919 % 10007) / 10.0 FROM generate_series(1, 20000) i}
	},
	{
		name => 'purchase',
		key => 'customer_id',
		columns => 'customer_id integer, id bigint, at timestamp, status text, total numeric(10,2), PRIMARY KEY (customer_id, id)',
		rows => q{SELECT (i * 7919::bigint) % 20000 + 1, i, timestamp '2023-01-01' + i * interval '3 minutes', (ARRAY['new','paid','shipped','returned'])[1 + i % 4],
			(i * 104729::bigint % 50000) / 100.0 FROM generate_series(1, 200000) i}
	},
	{
		name => 'line',
		key => 'customer_id',
		columns => 'customer_id integer, purchase_id bigint, no integer, product_id integer, quantity integer, price numeric(10,2), PRIMARY KEY (customer_id, purchase_id, no)',
		rows => q{SELECT (i * 7919::bigint) % 20000 + 1, i, n, (i * 31 + n * 17) % 1000 + 1, 1 + (i + n) % 5, ((i * n) % 9000) / 100.0 FROM generate_series(1, 200000) i, generate_series(1, 3) n}
	},);

our @queries = (
	[ 'count', 'SELECT count(*) FROM line' ],
	[ 'filtered count', "SELECT count(*) FROM purchase WHERE status = 'paid' AND total > 250" ],
	[ 'sums', 'SELECT sum(total), avg(total), min(total), max(total), count(*) FROM purchase' ],
	[ 'groups of few', 'SELECT status, count(*), sum(total), avg(total) FROM purchase GROUP BY status ORDER BY status' ],
	[ 'groups of many', 'SELECT product_id, sum(quantity), sum(quantity * price) FROM line GROUP BY product_id ORDER BY 3 DESC LIMIT 10' ],
	[ 'groups by key', 'SELECT customer_id, sum(total) FROM purchase GROUP BY customer_id ORDER BY 2 DESC, 1 LIMIT 10' ],
	[ 'groups by month', "SELECT date_trunc('month', at), count(*), sum(total) FROM purchase GROUP BY 1 ORDER BY 1" ],
	[ 'deviation', 'SELECT status, stddev(total), variance(total) FROM purchase GROUP BY status' ],
	[ 'correlation', 'SELECT corr(total::float8, id::float8), regr_slope(total::float8, id::float8) FROM purchase' ],
	[ 'different keys', 'SELECT count(DISTINCT customer_id) FROM purchase' ],
	[ 'different values', 'SELECT count(DISTINCT product_id) FROM line' ],
	[ 'different values by group', 'SELECT quantity, count(DISTINCT product_id) FROM line GROUP BY quantity' ],
	[ 'join by key', 'SELECT c.region_id, count(*), sum(p.total) FROM customer c JOIN purchase p ON p.customer_id = c.id GROUP BY c.region_id ORDER BY 1' ],
	[ 'three joined by key', "SELECT c.region_id, sum(l.quantity * l.price) FROM customer c JOIN purchase p ON p.customer_id = c.id JOIN line l ON l.customer_id = p.customer_id AND l.purchase_id = p.id WHERE p.status = 'paid' GROUP BY c.region_id" ],
	[ 'join with a reference table', 'SELECT r.category, sum(l.quantity * l.price) FROM line l JOIN product r ON r.id = l.product_id GROUP BY r.category ORDER BY 2 DESC' ],
	[ 'joins of both kinds', 'SELECT g.name, r.category, sum(l.quantity) FROM customer c JOIN region g ON g.id = c.region_id JOIN line l ON l.customer_id = c.id JOIN product r ON r.id = l.product_id GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20' ],
	[ 'outer join', 'SELECT count(*), count(p.id) FROM customer c LEFT JOIN purchase p ON p.customer_id = c.id AND p.total > 490' ],
	[ 'exists', "SELECT count(*) FROM customer c WHERE EXISTS (SELECT FROM purchase p WHERE p.customer_id = c.id AND p.status = 'returned' AND p.total > 400)" ],
	[ 'not exists', "SELECT region_id, count(*) FROM customer c WHERE NOT EXISTS (SELECT FROM purchase p WHERE p.customer_id = c.id AND p.total > 450) GROUP BY region_id" ],
	[ 'percentile', 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM purchase' ],
	[ 'window by key', 'SELECT count(*) FROM (SELECT customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY at DESC) AS r FROM purchase) s WHERE r = 1' ],
	[ 'window over groups', "SELECT m, s, sum(s) OVER (ORDER BY m) FROM (SELECT date_trunc('month', at) AS m, sum(total) AS s FROM purchase GROUP BY 1) g ORDER BY m" ],
	[ 'grouped subquery', 'SELECT avg(n), max(n) FROM (SELECT customer_id, count(*) AS n FROM line GROUP BY customer_id) s' ],
	[ 'scalar subquery', 'SELECT count(*) FROM purchase WHERE total > (SELECT avg(total) * 1.5 FROM purchase)' ],
	[ 'CTEs', "WITH best AS (SELECT customer_id, sum(total) AS t FROM purchase GROUP BY customer_id), top AS (SELECT region_id, max(t) AS t FROM best JOIN customer ON id = customer_id GROUP BY region_id) SELECT g.name, top.t FROM top JOIN region g ON g.id = top.region_id ORDER BY 2 DESC" ],);

1;
