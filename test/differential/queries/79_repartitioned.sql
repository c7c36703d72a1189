-- both sides are exchanged
SET pgcluster.join_strategy = exchange;
SELECT count(*), sum(a.balance) FROM accounts a JOIN gaps g ON g.a = a.owner;
SELECT a.owner, count(*), min(g.id) FROM accounts a JOIN gaps g ON g.a = a.owner GROUP BY a.owner;
SELECT a.id, g.b FROM accounts a JOIN gaps g ON g.a = a.owner WHERE a.balance > 10 AND g.c;

-- outer joins and null keys
SET pgcluster.join_strategy = exchange;
SELECT g.id, a.id FROM gaps g LEFT JOIN accounts a ON a.owner = g.a;
SELECT g.id, a.id FROM gaps g RIGHT JOIN accounts a ON a.owner = g.a;
SELECT g.id, a.id FROM gaps g FULL JOIN accounts a ON a.owner = g.a;
SELECT g.id FROM gaps g WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.owner = g.a);
SELECT g.id FROM gaps g WHERE g.a IN (SELECT owner FROM accounts WHERE balance > 20);

-- more than two, texts, other types
SET pgcluster.join_strategy = exchange;
SELECT u.user_id, k.key, e.kind FROM users u JOIN kv k ON k.value = u.name LEFT JOIN events e ON e.kind = k.value;
SELECT count(*), count(DISTINCT x.status) FROM orders x JOIN orders y ON x.status = y.status;
SELECT x.k, y.k, z.k FROM r1 x JOIN r2 y ON x.v = y.v JOIN r3 z ON z.v = x.v;
SELECT o.total, count(*) FROM orders o JOIN accounts a ON a.balance = o.total GROUP BY o.total;

-- little memory, in a transaction that wrote, by a cursor
SET pgcluster.join_strategy = exchange;
SET work_mem = '64kB';
BEGIN;
UPDATE gaps SET a = 3 WHERE id = 2;
SELECT count(*), sum(g.id), sum(a.id) FROM gaps g JOIN accounts a ON a.owner = g.a;
DECLARE c CURSOR FOR SELECT g.id, a.id FROM gaps g JOIN accounts a ON a.owner = g.a;
SELECT count(*) FROM gaps g JOIN accounts a ON a.owner = g.a;
ROLLBACK;

-- ordered
-- top-n and limits
SET pgcluster.join_strategy = exchange;
SELECT g.id, a.id FROM gaps g JOIN accounts a ON a.owner = g.a ORDER BY g.id, a.id LIMIT 7 OFFSET 2;
SELECT a.owner, sum(g.id) FROM gaps g JOIN accounts a ON a.owner = g.a GROUP BY 1 ORDER BY 1 DESC LIMIT 3;
