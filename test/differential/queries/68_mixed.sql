-- IS NOT DISTINCT FROM, a join
SELECT a.k, b.k FROM r1 a JOIN r3 b ON a.v IS NOT DISTINCT FROM b.v AND a.k < 10;

-- IS DISTINCT FROM, a join
SELECT a.k, b.k FROM r1 a JOIN r3 b ON a.k = b.k AND a.v IS DISTINCT FROM b.v;

-- a full join, USING, a join
SELECT a.k, c.v FROM r1 a FULL JOIN r5 c USING (k) WHERE a.v IS NULL OR c.v > 5;

-- a full join, USING, a join (2)
SELECT k, v, a.s, c.s FROM r1 a FULL JOIN r5 c USING (k, v);

-- a full join, USING, a join, groups
SELECT k, count(*) FROM r1 FULL JOIN r3 USING (k) FULL JOIN r5 USING (k) GROUP BY k;

-- a lateral subquery, a subquery, LIMIT, ORDER BY
-- ordered
SELECT a.k, l.* FROM r1 a, LATERAL (SELECT b.k AS bk, b.v FROM r3 b WHERE b.v <= a.v ORDER BY b.v DESC, b.k LIMIT 2) l ORDER BY a.k, l.bk;

-- a lateral subquery, ties, windows, a subquery
-- ordered
SELECT a.k, l.* FROM r1 a LEFT JOIN LATERAL (SELECT b.v, count(*) OVER () FROM r3 b WHERE b.k = a.k ORDER BY b.v FETCH FIRST 1 ROW WITH TIES) l ON true ORDER BY a.k, l.v;

-- ties, ORDER BY
SELECT v FROM r1 ORDER BY v OFFSET 3 FETCH FIRST 3 ROWS WITH TIES;

-- ties, ORDER BY, groups
SELECT v, count(*) FROM r3 GROUP BY v ORDER BY count(*) FETCH FIRST 1 ROW WITH TIES;

-- grouping sets, distinct aggregates, HAVING, groups
SELECT v, s, count(*), count(DISTINCT k), sum(DISTINCT n), grouping(v,s) FROM r1 GROUP BY GROUPING SETS ((v),(s),(v,s),()) HAVING count(DISTINCT k) > 1;

-- cube, distinct aggregates, aggregates in order, ORDER BY
SELECT v, count(DISTINCT s), array_agg(DISTINCT s ORDER BY s), string_agg(DISTINCT s, ',' ORDER BY s DESC) FROM r3 GROUP BY CUBE(v);

-- rollup, ordered sets, hypothetical ranks, distinct aggregates
SELECT k, count(DISTINCT v) FILTER (WHERE s > 't1'), percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM r3 GROUP BY ROLLUP(k) HAVING count(*) > 1;

-- ordered sets, hypothetical ranks, ORDER BY, groups
SELECT v, mode() WITHIN GROUP (ORDER BY s), percentile_disc(ARRAY[0.1,0.5,0.9]) WITHIN GROUP (ORDER BY n), rank(2) WITHIN GROUP (ORDER BY k), dense_rank(3,'t2') WITHIN GROUP (ORDER BY k DESC, s), percent_rank(2) WITHIN GROUP (ORDER BY n), cume_dist(1) WITHIN GROUP (ORDER BY k) FROM r1 GROUP BY v;

-- ordered sets, hypothetical ranks, ORDER BY
SELECT percentile_cont(ARRAY[0,0.25,1]) WITHIN GROUP (ORDER BY n) FROM r1;

-- frames that exclude, frames of groups, frames of ranges, windows
SELECT k, v, sum(k) OVER (ORDER BY v GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE GROUP), last_value(v) OVER (ORDER BY v RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM r1;

-- frames that exclude, frames of groups, windows, ORDER BY
SELECT k, sum(v) OVER (PARTITION BY k ORDER BY n, s, v GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE TIES) FROM r3;

-- sets in the select list
SELECT k, generate_series(1, v) FROM r1 WHERE k < 8;

-- sets in the select list, unnest
SELECT generate_series(1, 3), k, unnest(ARRAY['x','y']) FROM r1 WHERE k = 3;

-- sets in the select list, LIMIT, ORDER BY
-- ordered
SELECT k, generate_series(1, v) g FROM r1 ORDER BY k, g DESC LIMIT 7;

-- sets in the select list (2)
SELECT DISTINCT generate_series(1, v) FROM r1;

-- sets in the select list, groups
SELECT v, generate_series(1, count(*)::int % 3) FROM r1 GROUP BY v;

-- sets in the select list, a subquery
SELECT count(*) FROM (SELECT generate_series(1, k) FROM r1) s;

-- rows compared
SELECT a.k FROM r1 a WHERE (a.k, a.v) > (10, 3);

-- rows compared, a subquery
SELECT a.k FROM r1 a WHERE (a.k, a.v) IN (SELECT k, v FROM r3);

-- NOT IN, a subquery
SELECT a.k FROM r1 a WHERE (a.v, a.s) NOT IN (SELECT v, s FROM r3 WHERE v IS NOT NULL);

-- rows compared, a subquery, LIMIT, ORDER BY
SELECT a.k FROM r1 a WHERE ROW(a.v, a.s) = (SELECT v, s FROM r3 WHERE k = 4 ORDER BY v, s LIMIT 1);

-- IS DISTINCT FROM, rows compared
SELECT a.k FROM r1 a WHERE ROW(a.v, a.n) IS DISTINCT FROM ROW(2, NULL);

-- WITH, USING, a subquery, a join
WITH x AS (SELECT v, count(*) c FROM r1 GROUP BY v), y AS (SELECT * FROM x WHERE c > 6) SELECT x.v, y.c, (SELECT max(c) FROM x) FROM x LEFT JOIN y USING (v);

-- materialized or not, WITH, USING, a subquery
WITH x AS MATERIALIZED (SELECT k, v FROM r1), y AS NOT MATERIALIZED (SELECT k, v FROM r3) SELECT count(*), sum(x.v * y.v) FROM x JOIN y USING (k) JOIN x x2 ON x2.k = y.v;

-- recursion, search and cycle, USING, UNION
WITH RECURSIVE r(k, v) AS (SELECT k, v FROM r1 WHERE k = 1 UNION SELECT a.k, a.v FROM r, r1 a WHERE a.k = r.k + 3) SEARCH DEPTH FIRST BY k SET o CYCLE k SET c USING p SELECT * FROM r;

-- a join
SELECT count(*), sum(a.k) FROM r1 a JOIN r5 c ON a.v = c.k JOIN r3 b ON b.k = c.v;

-- rows exchanged, grouping sets, distinct aggregates, a join
SET pgcluster.join_strategy = exchange;
SELECT a.s, count(*), sum(b.n), count(DISTINCT b.k) FROM r1 a JOIN r3 b ON a.v = b.v GROUP BY GROUPING SETS ((a.s), ());

-- rows exchanged, a full join, a join, groups
SET pgcluster.join_strategy = exchange;
SELECT a.s, b.s, count(*) FROM r1 a FULL JOIN r3 b ON a.v = b.v GROUP BY 1,2;

-- rows exchanged, EXISTS, a subquery
SET pgcluster.join_strategy = exchange;
SELECT a.k FROM r1 a WHERE NOT EXISTS (SELECT FROM r3 b WHERE b.v = a.v AND b.n > a.n);

-- XML, ORDER BY
SELECT xmlagg(xmlelement(name e, xmlattributes(k AS k), s) ORDER BY k) FROM r1 WHERE k < 6;

-- XML
SELECT xmlforest(k, v, s)::text, xmlserialize(CONTENT xmlconcat(xmlelement(name a, k), xmlelement(name b, s)) AS text) FROM r1 WHERE v = 2;

-- XML, a table of XML
SELECT x.*, a.k FROM r1 a, XMLTABLE('/r/e' PASSING xmlparse(DOCUMENT '<r><e a="1">x</e><e a="2">y</e></r>') COLUMNS o FOR ORDINALITY, a int PATH '@a', s text PATH '.') x WHERE x.a = a.v;

-- JSON, ORDER BY
SELECT json_agg(a ORDER BY k), json_object_agg(k, v ORDER BY k) FROM r1 a WHERE v = 1;

-- EXCEPT
SELECT k, v FROM r1 EXCEPT ALL SELECT k, v FROM r3;

-- INTERSECT, LIMIT, ORDER BY
SELECT v, s FROM r1 INTERSECT ALL SELECT v, s FROM r3 ORDER BY 1, 2 LIMIT 3;

-- UNION ALL, a subquery, LIMIT, ORDER BY
(SELECT k, v FROM r1 ORDER BY k LIMIT 3) UNION ALL (SELECT k, v FROM r3 ORDER BY v DESC NULLS LAST, k, n LIMIT 2);

-- parameters, null ones too
PREPARE p(int, text) AS SELECT k, v FROM r1 WHERE k = $1 OR ($1 IS NULL AND s = $2);
EXECUTE p(3, 't1');
EXECUTE p(NULL, 't1');
EXECUTE p(4, NULL);
EXECUTE p(NULL, NULL);
EXECUTE p(5,'');
EXECUTE p(NULL,'t2');
EXECUTE p(NULL,'t2');

-- a generic plan, parameters, null ones too, a join
SET plan_cache_mode = force_generic_plan;
PREPARE p(int, int[]) AS SELECT a.k, b.v FROM r1 a LEFT JOIN r3 b ON a.k = b.k AND b.v = $1 WHERE a.k = ANY($2);
EXECUTE p(1, '{1,2,3}');
EXECUTE p(NULL, '{4,NULL}');
EXECUTE p(1, NULL);
EXECUTE p(1, '{}');

-- a generic plan, parameters, null ones too, LIMIT, ORDER BY
SET plan_cache_mode = force_generic_plan;
PREPARE p(int) AS SELECT v, k FROM r1 ORDER BY v, k LIMIT $1 OFFSET 2;
EXECUTE p(3);
EXECUTE p(NULL);
EXECUTE p(0);

-- a generic plan, parameters, null ones too, a join (2)
SET plan_cache_mode = force_generic_plan;
PREPARE p(int) AS SELECT count(*), sum(b.v) FROM r1 a JOIN r5 b ON a.v = b.k WHERE a.k > $1;
EXECUTE p(3);
EXECUTE p(NULL);
EXECUTE p(0);

-- a generic plan, parameters, null ones too, a subquery, LIMIT
SET plan_cache_mode = force_generic_plan;
PREPARE p(int) AS SELECT k FROM r1 WHERE k = $1 AND v = (SELECT v FROM r3 WHERE k = $1 ORDER BY v LIMIT 1);
EXECUTE p(2);
EXECUTE p(NULL);
EXECUTE p(8);

-- a cursor to and fro, ORDER BY
-- ordered
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k, v FROM r1 ORDER BY k;
FETCH 3 FROM c;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
FETCH ABSOLUTE 5 FROM c;
FETCH BACKWARD 2 FROM c;
MOVE FORWARD 3 FROM c;
FETCH RELATIVE -1 FROM c;
FETCH BACKWARD ALL FROM c;
COMMIT;

-- a held cursor, a cursor, ORDER BY
-- ordered
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT k, v FROM r3 WHERE v IS NOT NULL ORDER BY k, v, n;
FETCH 2 FROM c;
COMMIT;
FETCH 3 FROM c;
CLOSE c;

-- a cursor, own writes, ORDER BY
-- ordered
BEGIN;
DECLARE c CURSOR FOR SELECT k, v FROM r1 ORDER BY k;
FETCH 2 FROM c;
UPDATE r1 SET v = 100 WHERE k > 2;
FETCH 2 FROM c;
DELETE FROM r1 WHERE k = 7;
FETCH 4 FROM c;
SELECT sum(v) FROM r1;
ROLLBACK;

-- a cursor to and fro, own writes, a savepoint, VALUES
-- ordered
BEGIN;
UPDATE r1 SET v = 50 WHERE k = 3;
DECLARE c SCROLL CURSOR FOR SELECT k, v FROM r1 WHERE k < 6 ORDER BY k;
FETCH 2 FROM c;
INSERT INTO r1 VALUES (0, 0, 'new');
FETCH ALL FROM c;
FETCH BACKWARD 2 FROM c;
SAVEPOINT s;
DELETE FROM r1 WHERE k = 1;
ROLLBACK TO s;
FETCH FIRST FROM c;
ROLLBACK;

-- a cursor to and fro, held, a cursor to and fro, a held cursor, a join
-- ordered
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT a.k, count(*) FROM r1 a JOIN r5 c ON c.k = a.v GROUP BY a.k ORDER BY 1;
COMMIT;
FETCH 2 FROM c;
FETCH LAST FROM c;
FETCH -2 FROM c;

-- a cursor to and fro
-- ordered
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k FROM r1 WHERE k = 5;
FETCH ALL FROM c;
FETCH PRIOR FROM c;
FETCH PRIOR FROM c;
FETCH NEXT FROM c;
COMMIT;

-- repeatable read, VALUES, groups
BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM r1; INSERT INTO r1 VALUES (1000, 1); SELECT count(*) FROM r1; SELECT v, count(*) FROM r1 GROUP BY v; ROLLBACK;

-- serializable, USING, a join
BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM r1; SELECT count(*) FROM r1 a JOIN r3 USING (v); ROLLBACK;

-- sets in the select list, functions side by side, unnest, a subquery
SELECT * FROM ROWS FROM (generate_series(1,3), unnest(ARRAY(SELECT k FROM r1 WHERE v = 2 ORDER BY k))) WITH ORDINALITY;

-- sets in the select list, a subquery, a join
SELECT u.x, c.s FROM generate_series(1, (SELECT max(v) FROM r1)) u(x) JOIN r5 c ON c.k = u.x;

-- VALUES, a subquery, a join
SELECT * FROM (VALUES (1, (SELECT max(k) FROM r1)), (2, 3)) w(a, b) JOIN r5 c ON c.v = w.a;

-- a subquery
SELECT a.k, (SELECT count(*) FROM r5 c WHERE c.v = a.v AND c.k > (SELECT min(k) FROM r3 b WHERE b.v = a.v)) FROM r1 a WHERE a.k < 15;

-- a subquery, ORDER BY
SELECT a.v, array(SELECT DISTINCT b.v FROM r3 b WHERE b.k < a.v ORDER BY 1) FROM r1 a WHERE a.k < 12;

-- ALL, a subquery
SELECT a.k FROM r1 a WHERE a.v > ALL (SELECT b.v FROM r3 b WHERE b.k = a.k AND b.v IS NOT NULL);

-- ANY, a subquery
SELECT a.k FROM r1 a WHERE a.v = ANY (SELECT c.k FROM r5 c WHERE c.s > a.s);

-- FILTER, HAVING, a subquery, groups
SELECT max(a.k) FILTER (WHERE a.v IN (SELECT v FROM r3)), count(*) FROM r1 a GROUP BY a.s HAVING max(a.k) > (SELECT avg(k) FROM r5);

-- windows, ORDER BY, groups
SELECT v, sum(sum(k)) OVER (ORDER BY v), rank() OVER (ORDER BY count(*) DESC) FROM r1 GROUP BY v;

-- DISTINCT ON, ORDER BY
SELECT DISTINCT ON (v) v, k, s FROM r3 ORDER BY v, k DESC, s;

-- windows, DISTINCT ON, ORDER BY
SELECT DISTINCT ON (s) s, sum(k) OVER (PARTITION BY s) FROM r1 ORDER BY s;

-- windows, ORDER BY
SELECT v, lag(k) OVER w, lead(k, 2, -1) OVER w, nth_value(k, 2) OVER w, ntile(3) OVER w FROM r1 WINDOW w AS (PARTITION BY v ORDER BY k);

-- aggregates in order, JSON, ORDER BY, groups
SELECT s, array_agg(k ORDER BY v DESC, k), json_agg(v ORDER BY k), string_agg(s, '' ORDER BY k) FROM r1 GROUP BY s;

-- distinct aggregates, aggregates in order, ORDER BY
SELECT string_agg(DISTINCT s, ',') , array_agg(DISTINCT v ORDER BY v DESC), sum(DISTINCT n), avg(DISTINCT v) FROM r1;

-- aggregates in order, JSON, ORDER BY
SELECT array_agg(k ORDER BY n NULLS FIRST, k), jsonb_object_agg(k, v) FROM r1 WHERE s = 't1';

-- XML, ORDER BY (2)
SELECT xmlagg(xmlelement(name x, k) ORDER BY s DESC NULLS LAST, k) FROM r1;

-- distinct aggregates
SELECT count(*), count(DISTINCT (v, s)), count(DISTINCT a.*) FROM r1 a;

-- ordered sets, hypothetical ranks, FILTER, ORDER BY
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY s), percentile_cont(0.3) WITHIN GROUP (ORDER BY k) FILTER (WHERE v > 2), mode() WITHIN GROUP (ORDER BY v DESC) FROM r1;

-- hypothetical ranks, ORDER BY, groups
SELECT v, rank(v, 't2') WITHIN GROUP (ORDER BY v, s) FROM r1 GROUP BY v;

-- cube, a cross join, a join, groups
SELECT a.v, b.v, count(*) FROM r1 a CROSS JOIN r5 b WHERE a.k < 4 AND b.k < 4 GROUP BY CUBE (1, 2);

-- grouping sets, rollup, HAVING, groups
SELECT GROUPING(v), GROUPING(s, v), v, s, min(k) FROM r1 GROUP BY ROLLUP (v, s), GROUPING SETS ((), (n)) HAVING GROUPING(v) = 0;

-- a lateral subquery, USING, a subquery, a join
SELECT * FROM r1 a LEFT JOIN (SELECT k, max(v) mv FROM r3 GROUP BY k) b USING (k) LEFT JOIN LATERAL (SELECT count(*) FROM r5 c WHERE c.v = b.mv) l ON true;

-- USING, UNION, a subquery, a join
SELECT * FROM (SELECT k, v FROM r1 UNION SELECT k, v FROM r3) u JOIN r1 USING (k) WHERE u.v < 3;

-- WITH, EXISTS, a subquery
WITH x AS (SELECT k, v FROM r1 WHERE v > 2) SELECT (SELECT count(*) FROM x), y.k FROM x y WHERE EXISTS (SELECT FROM x z WHERE z.k = y.k + 7);

-- WITH, USING, a subquery, a join (2)
WITH x AS (SELECT v, count(*) c FROM r1 GROUP BY v) SELECT a.k, x.c FROM r1 a JOIN x USING (v) WHERE x.c = (SELECT max(c) FROM x);

-- a full join, a join, groups
SELECT coalesce(a.v, c.v), count(a.k), count(c.k) FROM r1 a FULL JOIN r5 c ON a.v = c.v AND a.k = c.k GROUP BY 1;

-- a subquery (2)
-- fails: 21000
SELECT a.k FROM r1 a WHERE (SELECT b.v FROM r3 b WHERE b.k = a.k) > 1;

-- a division that a condition guards
SELECT 1 / (a.v - 3) FROM r1 a WHERE a.v <> 3 AND a.k < 9;

-- a division that a case guards, CASE
SELECT CASE WHEN v = 0 THEN 0 ELSE 10 / v END FROM r1;

-- patterns
SELECT k FROM r1 WHERE s LIKE 't_' ESCAPE '#' AND s SIMILAR TO 't(1|2)' AND s ~* 'T';

-- COLLATE, LIMIT, ORDER BY
SELECT k, s COLLATE "C" FROM r1 ORDER BY s COLLATE "C" DESC NULLS LAST, k LIMIT 5;
