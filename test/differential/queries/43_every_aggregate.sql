-- any of one type: integers
SELECT sum(v), avg(v), min(v), max(v), count(v), stddev(v), stddev_pop(v), stddev_samp(v), variance(v), var_pop(v), var_samp(v), bit_and(v), bit_or(v), bit_xor(v) FROM r2;

-- ... of bigint
SELECT sum(k), avg(k), min(k), max(k), stddev(k), variance(k), bit_and(k), bit_or(k), bit_xor(k) FROM r3;

-- ... of smallint
SELECT sum(i2), avg(i2), min(i2), max(i2), stddev(i2), var_pop(i2), bit_or(i2) FROM types;

-- ... of numeric
SELECT sum(n), avg(n), min(n), max(n), stddev(n), variance(n), var_pop(n) FROM r2;

-- ... of numeric with NaN and infinity
SELECT sum(n), avg(n), min(n), max(n), stddev(n) FROM types;

-- ... of real and double precision
SELECT sum(f4), avg(f4), min(f4), max(f4), stddev(f4), sum(reading), avg(reading), var_pop(reading) FROM types, events WHERE f4 > 0;

-- ... of interval, time and dates
SELECT sum(iv), avg(iv), min(iv), max(iv), min(tm), max(tm), min(d), max(d), min(ts), max(tz) FROM types;

-- ... of money
SELECT sum(n::money), min(n::money), max(n::money) FROM r2;

-- ... of booleans
SELECT bool_and(b), bool_or(b), every(b) FROM r2;

-- ... of bit strings
SELECT bit_and(v::bit(4)), bit_or(v::bit(4)), bit_xor(v::bit(4)) FROM r2;

-- ... of text, char and inet
SELECT min(t), max(v), min(c), max(ip), min(ip) FROM types;

-- ... of arrays
SELECT min(a), max(a) FROM r2;

-- ... of ranges
SELECT range_agg(int4range(k, k + 3)), range_intersect_agg(int4range(0, k + 5)) FROM r2;

-- ... of multiranges
SELECT range_intersect_agg(int4multirange(int4range(0, k + 5), int4range(50, 60))) FROM r2;

-- ... of pg_lsn, tid and oid
SELECT min(('0/' || k)::pg_lsn), max(k::oid) FROM r2;

-- pairs
SELECT corr(n, v), covar_pop(n, v), covar_samp(n, v), regr_avgx(n, v), regr_avgy(n, v), regr_count(n, v), regr_intercept(n, v), regr_r2(n, v), regr_slope(n, v), regr_sxx(n, v), regr_sxy(n, v), regr_syy(n, v) FROM r2;

-- pairs by group
SELECT b, regr_count(n, v), round(covar_pop(n, v)::numeric, 8), round(regr_slope(n, v)::numeric, 8) FROM r2 GROUP BY b;

-- array_agg in order
SELECT array_agg(k ORDER BY k, v), array_agg(s ORDER BY s DESC), array_agg(DISTINCT v) FROM r2;

-- array_agg by group
SELECT s, array_agg(v ORDER BY v NULLS FIRST) FROM r2 GROUP BY s;

-- array_agg by the key
SELECT k, array_agg(v ORDER BY v NULLS FIRST) FROM r2 GROUP BY k;

-- array_agg of arrays
SELECT array_agg(ARRAY[k, coalesce(v, 0)] ORDER BY k, v) FROM r2;

-- array_agg of rows
SELECT array_agg((k, s) ORDER BY k, s, v)::text FROM r1;

-- string_agg in order
SELECT string_agg(s, '/' ORDER BY s), string_agg(DISTINCT s, '-' ORDER BY s DESC) FROM r2;

-- string_agg of bytea
SELECT string_agg(s::bytea, '\x00' ORDER BY s) FROM r2;

-- string_agg with a delimiter of each row
SELECT string_agg(s, k::text ORDER BY k, s, v) FROM r2;

-- json
SELECT json_agg(v ORDER BY v), jsonb_agg(s ORDER BY s), json_object_agg(k, s ORDER BY k), jsonb_object_agg(k, n) FROM r1;

-- json of rows
SELECT json_agg(r1 ORDER BY k) FROM r1 WHERE k < 4;

-- json by group
SELECT b, jsonb_agg(jsonb_build_object('k', k, 's', s) ORDER BY k, s, v) FROM r2 GROUP BY b;

-- xml
SELECT xmlagg(xmlelement(name x, k) ORDER BY k) FROM r1;

-- ordered sets: discrete
SELECT percentile_disc(0.25) WITHIN GROUP (ORDER BY v), percentile_disc(ARRAY[0.1, 0.5, 1]) WITHIN GROUP (ORDER BY n), percentile_disc(0.5) WITHIN GROUP (ORDER BY s DESC) FROM r2;

-- ... continuous
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v), percentile_cont(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY n), percentile_cont(0.3) WITHIN GROUP (ORDER BY v * interval '1 hour') FROM r2;

-- ... by group
SELECT b, percentile_cont(0.5) WITHIN GROUP (ORDER BY n), mode() WITHIN GROUP (ORDER BY b) FROM r2 GROUP BY b;

-- ... by the key
SELECT k, percentile_disc(0.5) WITHIN GROUP (ORDER BY v), count(*) FROM r2 GROUP BY k;

-- ... with a fraction of the group
SELECT k, percentile_disc(k / 100.0) WITHIN GROUP (ORDER BY v) FROM r2 GROUP BY k;

-- ... with FILTER
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY v) FILTER (WHERE b) FROM r2;

-- mode
SELECT mode() WITHIN GROUP (ORDER BY s) FROM r2 WHERE s IN ('s1', 's2') OR k < 4;

-- hypothetical sets
SELECT rank(5) WITHIN GROUP (ORDER BY v), dense_rank(5) WITHIN GROUP (ORDER BY v), percent_rank(5) WITHIN GROUP (ORDER BY v), cume_dist(5) WITHIN GROUP (ORDER BY v) FROM r2;

-- ... of two columns
SELECT rank(5, 's3') WITHIN GROUP (ORDER BY v DESC, s) FROM r2;

-- ... by group
SELECT b, rank(3) WITHIN GROUP (ORDER BY v) FROM r2 GROUP BY b;

-- DISTINCT of the key
SELECT count(DISTINCT k), sum(DISTINCT k), avg(DISTINCT k) FROM r2;

-- DISTINCT of others
SELECT count(DISTINCT v), count(DISTINCT s), sum(DISTINCT n), min(DISTINCT v), string_agg(DISTINCT s, ',' ORDER BY s) FROM r2;

-- DISTINCT beside plain ones
SELECT count(*), count(DISTINCT v), sum(n), avg(v) FROM r2;

-- DISTINCT by group
SELECT b, count(DISTINCT v), count(DISTINCT k), count(*) FROM r2 GROUP BY b;

-- DISTINCT with FILTER
SELECT count(DISTINCT v) FILTER (WHERE k > 5), count(DISTINCT s) FILTER (WHERE b) FROM r2;

-- DISTINCT of pairs
SELECT count(DISTINCT (v, s)), count(DISTINCT (k, v)) FROM r2;

-- DISTINCT of text that differs in case only, by a collation
SELECT count(DISTINCT lower(s)), count(DISTINCT s COLLATE "C") FROM r2;

-- FILTER with a subquery
SELECT count(*) FILTER (WHERE v IN (SELECT v FROM r6)) FROM r2;

-- an argument that is a subquery
SELECT sum((SELECT count(*) FROM r6 WHERE r6.v = r2.v)) FROM r2;

-- ORDER BY inside of what does not mind
SELECT sum(v ORDER BY n), count(s ORDER BY k) FROM r2;

-- VARIADIC and two arguments
SELECT max(greatest(v, k)), sum(v * k), string_agg(concat(s, v), '' ORDER BY k, s, v) FROM r2;

-- aggregates over a join on the key
SELECT a.b, count(*), sum(c.n), avg(a.v), max(c.s) FROM r1 a JOIN r2 c ON a.k = c.k GROUP BY a.b;

-- ... over an outer join
SELECT a.k, count(c.k), sum(c.n) FROM r1 a LEFT JOIN r2 c ON a.k = c.k GROUP BY a.k;

-- ... on another column
SELECT a.b, count(*), sum(c.n) FROM r1 a JOIN r2 c ON a.v = c.v GROUP BY a.b;

-- sums that do not fit
-- fails: 22003
SELECT sum(2147483647)::int FROM r2;

-- sums of bigint that need numeric
SELECT sum(9223372036854775807 - v) FROM r2;

-- an aggregate of the user, with a function to combine
BEGIN;
CREATE FUNCTION pg_temp.larger(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE pg_temp.largest (int) (sfunc = pg_temp.larger, stype = int, combinefunc = pg_temp.larger, parallel = safe);
SELECT pg_temp.largest(v), count(*) FROM r2;
SELECT b, pg_temp.largest(v) FROM r2 GROUP BY b;
SELECT k, pg_temp.largest(v) FROM r2 GROUP BY k;
ROLLBACK;

-- ... without one
BEGIN;
CREATE AGGREGATE pg_temp.all_of (anyelement) (sfunc = array_append, stype = anyarray, initcond = '{}');
SELECT pg_temp.all_of(v ORDER BY v) FROM r2;
SELECT b, cardinality(pg_temp.all_of(k)) FROM r2 GROUP BY b;
SELECT pg_temp.all_of(DISTINCT v) FROM r2;
ROLLBACK;

-- ... an ordered one, and as a window
BEGIN;
CREATE AGGREGATE pg_temp.joined (text) (sfunc = textcat, stype = text, initcond = '');
SELECT pg_temp.joined(s ORDER BY s) FROM r2;
SELECT k, pg_temp.joined(s) OVER (PARTITION BY b ORDER BY s, k, v) FROM r2;
ROLLBACK;
