-- UNION ALL of three
SELECT k FROM r1 UNION ALL SELECT k FROM r2 UNION ALL SELECT v FROM r4;

-- UNION of different tables
SELECT k, s FROM r1 UNION SELECT k, s FROM r2;

-- INTERSECT
SELECT k FROM r1 INTERSECT SELECT k FROM r2;

-- INTERSECT ALL
SELECT v FROM r1 INTERSECT ALL SELECT v FROM r2;

-- EXCEPT
SELECT v FROM r2 EXCEPT SELECT v FROM r1;

-- EXCEPT ALL
SELECT v FROM r2 EXCEPT ALL SELECT v FROM r6;

-- precedence of INTERSECT
SELECT k FROM r1 UNION SELECT k FROM r2 INTERSECT SELECT k FROM r5;

-- parentheses against it
(SELECT k FROM r1 UNION SELECT k FROM r2) INTERSECT SELECT k FROM r5;

-- nested, with ALL and without
((SELECT k FROM r1 UNION ALL SELECT k FROM r1) EXCEPT ALL SELECT k FROM r5) UNION (SELECT v FROM r6 EXCEPT SELECT v FROM r2);

-- members with ORDER BY and LIMIT
(SELECT k, s FROM r1 ORDER BY k LIMIT 3) UNION ALL (SELECT k, s FROM r5 ORDER BY k DESC, s LIMIT 2);

-- ORDER BY over all
-- ordered
SELECT k, 'a' AS w FROM r1 UNION ALL SELECT k, 'b' FROM r5 ORDER BY k DESC, w LIMIT 7 OFFSET 2;

-- members that are grouped
SELECT s, count(*) FROM r2 GROUP BY s UNION ALL SELECT 'all', count(*) FROM r2;

-- members by key
SELECT k, count(*) FROM r2 GROUP BY k UNION SELECT k, 1 FROM r1;

-- members with joins on the key
SELECT a.k, b.v FROM r1 a JOIN r2 b USING (k) UNION ALL SELECT a.k, b.v FROM r1 a JOIN r5 b USING (k);

-- one member pinned
SELECT k, v FROM r2 WHERE k = 3 UNION ALL SELECT k, v FROM r2 WHERE v = 3;

-- both pinned to the same key
SELECT v FROM r2 WHERE k = 3 UNION SELECT v FROM r5 WHERE k = 3;

-- both pinned, to different keys
SELECT v FROM r2 WHERE k = 3 EXCEPT SELECT v FROM r2 WHERE k = 5;

-- types are brought together
SELECT k, n FROM r1 UNION SELECT v, k FROM r3;

-- constants and nulls
SELECT k, NULL FROM r1 UNION SELECT NULL, s FROM r6 UNION ALL SELECT 1, 'x';

-- a set operation in FROM, grouped
SELECT s, count(*) FROM (SELECT s FROM r1 UNION ALL SELECT s FROM r2) x GROUP BY s;

-- ... joined
SELECT x.k, r3.v FROM (SELECT k FROM r1 UNION SELECT k FROM r2) x JOIN r3 ON r3.k = x.k;

-- ... filtered by the key
SELECT * FROM (SELECT k, v FROM r1 UNION ALL SELECT k, v FROM r2) x WHERE k = 4;

-- ... filtered by another column
SELECT * FROM (SELECT k, v FROM r1 UNION SELECT k, v FROM r2) x WHERE v > 5;

-- a set operation in IN
SELECT k FROM r1 WHERE k IN (SELECT k FROM r2 EXCEPT SELECT k FROM r5);

-- ... correlated
SELECT k FROM r1 WHERE EXISTS (SELECT v FROM r2 WHERE r2.k = r1.k INTERSECT SELECT v FROM r3 WHERE r3.k = r1.k);

-- set operations of arrays, rows and json
SELECT a, (k, v), to_jsonb(v) FROM r1 UNION SELECT a, (k, v), to_jsonb(v) FROM r5;

-- of no column
SELECT FROM r6 UNION ALL SELECT FROM r1;

-- of types that cannot be compared, with ALL
SELECT to_json(k) FROM r1 UNION ALL SELECT to_json(v) FROM r2;

-- ... without
-- fails: 42883
SELECT to_json(k) FROM r1 UNION SELECT to_json(v) FROM r2;

-- UNION of a table and VALUES
SELECT k, s FROM r1 WHERE k < 4 UNION VALUES (1, 's1'), (77, 'new');

-- TABLE
TABLE r6 UNION ALL TABLE r5;

-- collations
SELECT s COLLATE "C" FROM r1 UNION SELECT s COLLATE "C" FROM r2 ORDER BY 1 LIMIT 3;

-- whole rows
SELECT r1 FROM r1 UNION SELECT r1 FROM r1 WHERE k > 3;
