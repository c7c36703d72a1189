-- Which tier a statement is planned in, and what is sent.  The server is its
-- own worker group; numbers of shards and addresses stay out of the output.
CREATE EXTENSION IF NOT EXISTS pgcluster;
-- Contexts name the node.
\set SHOW_CONTEXT never
SELECT cluster_add_node(current_setting('unix_socket_directories'), current_setting('port')::integer) > 0 AS added;
CREATE SCHEMA planned;
SET search_path = planned;
-- exchange_plan.sql has the others
SET pgcluster.join_strategy = pull;
CREATE TABLE account (id bigint PRIMARY KEY, owner text, balance numeric DEFAULT 0);
CREATE TABLE movement (account_id bigint, no integer, amount numeric, at timestamptz DEFAULT '2020-01-01 00:00+00',
    PRIMARY KEY (account_id, no));
CREATE TABLE other (id integer PRIMARY KEY, v text);
CREATE TABLE currency (code text PRIMARY KEY, rate numeric);
CREATE TABLE here (id integer PRIMARY KEY, v text);
INSERT INTO account SELECT g, 'owner ' || g FROM generate_series(1, 20) g;
INSERT INTO movement SELECT g % 20 + 1, g, g FROM generate_series(1, 100) g;
INSERT INTO here VALUES (1, 'one'), (2, 'two');
SELECT create_distributed_table('account', 'id', shard_count => 4);
SELECT create_distributed_table('movement', 'account_id', colocate_with => 'account');
SELECT create_distributed_table('other', 'id', colocate_with => 'none', shard_count => 2);
SELECT create_reference_table('currency');
INSERT INTO other VALUES (1, 'a'), (2, 'b');
INSERT INTO currency VALUES ('EUR', 1), ('USD', 1.1);

\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/plan_of.sql'
\set ECHO none
\i :helpers
\set ECHO all
-- Only the tier and why, for those whose SQL says nothing new.
CREATE FUNCTION tier_of(query text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT DISTINCT trim(line) FROM plan_of(query) line WHERE line ~ '^ *(Tier|Not Single Shard|Not Pushdown): ' ORDER BY 1 DESC $$;

-- single shard
SELECT plan_of('SELECT * FROM account WHERE id = 5');
SELECT plan_of('SELECT a.owner, sum(m.amount) FROM account a JOIN movement m ON m.account_id = a.id WHERE a.id = 5 GROUP BY 1 HAVING count(*) > 1 ORDER BY 2');
SELECT plan_of('SELECT * FROM account a LEFT JOIN movement m ON m.account_id = a.id AND m.no < 5, currency c WHERE a.id = 5 AND c.code = ''EUR''');
SELECT plan_of('WITH m AS (SELECT * FROM movement WHERE account_id = 5) SELECT * FROM account JOIN m ON m.account_id = id WHERE id = 5 FOR UPDATE OF account');
SELECT plan_of('SELECT * FROM account WHERE owner = ''x'' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED');
SELECT plan_of('SELECT account.id FROM account JOIN other ON other.v = account.owner FOR SHARE OF account');
SELECT plan_of('SELECT * FROM account WHERE id = 5 AND EXISTS (SELECT FROM movement WHERE account_id = account.id)');
SELECT plan_of('SELECT now() > at, current_user, at + interval ''1 day'' FROM movement WHERE account_id = 5 AND at < now()');
SELECT plan_of('INSERT INTO account VALUES (100, ''x'') ON CONFLICT (id) DO UPDATE SET balance = account.balance + excluded.balance RETURNING *');
SELECT plan_of('UPDATE account SET balance = balance + 1 WHERE id = 5 RETURNING account');
SELECT plan_of('DELETE FROM movement USING account WHERE account_id = id AND id = 5');
CREATE SEQUENCE numbers;
SELECT plan_of('INSERT INTO account VALUES (nextval(''numbers''))');

-- MERGE that shards can do by themselves, and what keeps others from that
SELECT plan_of('MERGE INTO movement m USING account a ON m.account_id = a.id AND m.no = 1 WHEN MATCHED THEN UPDATE SET amount = m.amount + a.balance WHEN NOT MATCHED AND a.balance > 0 THEN INSERT (account_id, no, at) VALUES (a.id, 1, now())');
SELECT plan_of('MERGE INTO account a USING (VALUES (5, ''five'')) v (id, name) ON a.id = v.id WHEN MATCHED THEN UPDATE SET owner = v.name WHEN NOT MATCHED THEN INSERT (id, owner) VALUES (v.id, v.name)');
SELECT plan_of('MERGE INTO account USING currency ON currency.code = account.owner AND account.id IN (1, 2) WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING');
SELECT line FROM (VALUES ('MERGE INTO account USING currency c ON c.rate = account.id WHEN NOT MATCHED THEN INSERT VALUES (7, c.code)'),
    ('MERGE INTO movement m USING account a ON m.account_id = a.id WHEN NOT MATCHED THEN INSERT (account_id, no) VALUES (a.id + 1, 1)'),
    ('MERGE INTO movement m USING account a ON m.no = a.id WHEN MATCHED THEN DELETE'),
    ('MERGE INTO movement m USING account a ON m.account_id = a.id WHEN MATCHED THEN UPDATE SET account_id = 2'),
    ('MERGE INTO account USING (VALUES (1, 2)) v (a, b) ON id = v.a WHEN NOT MATCHED THEN INSERT (id) VALUES (v.b)')) q (query),
    plan_of(query) line WHERE line ~ 'Tier|Not ';

-- what keeps a query from one shard
SELECT tier_of('SELECT * FROM account WHERE id = 5 OR id = 6');
SELECT tier_of('SELECT * FROM account WHERE id > 5');
SELECT tier_of('SELECT * FROM account a JOIN movement m ON true WHERE a.id = 5');
SELECT tier_of('SELECT * FROM account a LEFT JOIN movement m ON a.id = 5 AND m.account_id = a.id');
SELECT tier_of('SELECT * FROM account a FULL JOIN movement m ON m.account_id = a.id WHERE a.id = 5');
SELECT tier_of('SELECT * FROM account a, other o WHERE a.id = 1 AND o.id = 1');
SELECT tier_of('SELECT * FROM account a, here h WHERE a.id = 1 AND h.id = 1');
SELECT tier_of('SELECT tableoid::regclass, * FROM account WHERE id = 1');
SELECT tier_of('SELECT plan_of(owner) FROM account WHERE id = 1');
SELECT tier_of('SELECT (SELECT max(amount) FROM movement) FROM account WHERE id = 1');
SELECT tier_of('SELECT * FROM (SELECT id, count(*) OVER () FROM account) s WHERE id = 1');

-- the view is seen through
CREATE VIEW moved AS SELECT a.owner, m.* FROM account a JOIN movement m ON m.account_id = a.id;
SELECT tier_of('SELECT count(*) FROM moved WHERE account_id = 3');
SELECT tier_of('SELECT * FROM (SELECT * FROM moved WHERE account_id = 3) s JOIN account a ON a.id = s.account_id');

CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM account WHERE balance >= 0;
SELECT tier_of('SELECT * FROM guarded WHERE id = 3 AND 1 / length(owner) > 0');

-- every shard, and some
SELECT plan_of('UPDATE account SET balance = 0 WHERE owner LIKE ''%5''');
SELECT plan_of('DELETE FROM account WHERE id IN (SELECT account_id FROM movement WHERE amount > 1000)');
SELECT plan_of('UPDATE account SET balance = m.amount FROM movement m WHERE m.account_id = account.id AND id IN (1)');
SELECT plan_of('SELECT owner FROM account WHERE id = ANY (''{1}'')');

-- pushdown: joins, groups and parts of aggregates on the shards, merged here
SELECT plan_of('SELECT owner, count(*), avg(amount), max(at) FROM account JOIN movement ON account_id = id WHERE amount > 10 GROUP BY owner HAVING count(*) > 2 ORDER BY 2 DESC LIMIT 3');
SELECT plan_of('SELECT id, string_agg(no::text, '','' ORDER BY no) FROM account LEFT JOIN movement ON account_id = id GROUP BY id ORDER BY 1 OFFSET 1 LIMIT 3');
SELECT plan_of('SELECT DISTINCT amount FROM movement WHERE account_id IN (1, 2)');
SELECT owner, count(*), avg(amount), max(at) = min(at) AS same FROM account JOIN movement ON account_id = id WHERE amount > 10 GROUP BY owner HAVING count(*) > 2 ORDER BY 1 LIMIT 3;
SELECT id, string_agg(no::text, ',' ORDER BY no) FROM account LEFT JOIN movement ON account_id = id GROUP BY id ORDER BY 1 OFFSET 1 LIMIT 3;
SELECT count(*), sum(no), avg(no), count(DISTINCT no) IS NULL AS no FROM movement WHERE account_id = ANY ('{}');
SELECT tier_of('SELECT count(DISTINCT amount) FROM movement');
SELECT tier_of('SELECT account_id, sum(amount) OVER (ORDER BY no) FROM movement');
SELECT tier_of('SELECT count(*) FROM account, (SELECT * FROM currency LIMIT 1) c');
SELECT tier_of('SELECT count(*) FROM account a JOIN movement m ON m.no = a.id');
SELECT tier_of('SELECT m.account_id, count(*) FROM movement m RIGHT JOIN account a ON a.id = m.account_id GROUP BY m.account_id');

-- by table: columns and conditions that can travel do
SELECT plan_of('SELECT a.owner FROM account a JOIN movement m ON m.account_id = a.id WHERE m.amount > 10 AND at < now() AND to_char(at, ''YYYY'') = ''2020'' ORDER BY 1 LIMIT 3');
SELECT plan_of('SELECT count(*) FROM movement');
SELECT plan_of('SELECT o.v, h.v FROM other o JOIN here h USING (id)');
SELECT plan_of('SELECT * FROM account TABLESAMPLE BERNOULLI (10) REPEATABLE (1)');
SELECT plan_of('SELECT 1 FROM account UNION ALL SELECT 2 FROM movement');

-- rows
SELECT plan_of('INSERT INTO other VALUES (10, ''x''), (11, ''y'') RETURNING *');
SELECT plan_of('INSERT INTO other SELECT id + 100, owner FROM account');
SELECT plan_of('INSERT INTO currency VALUES (''GBP'', random()), (''JPY'', random()) ON CONFLICT DO NOTHING');
SELECT plan_of('UPDATE here SET v = o.v FROM other o WHERE o.id = here.id');

-- EXPLAIN carries nothing out
SELECT plan_of('ANALYZE, TIMING OFF, SUMMARY OFF', 'SELECT 1 FROM currency');
SELECT count(*) FROM other;
EXPLAIN (COSTS OFF) INSERT INTO here SELECT count(*) FROM account WHERE id = NULL;

-- parameters: one plan, any shard
PREPARE find(bigint) AS SELECT owner FROM account WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE find(3);
EXECUTE find(4);
EXECUTE find(NULL);
EXECUTE find(-1);
SELECT plan_of('EXECUTE find(3)');
PREPARE find_any(bigint[]) AS SELECT owner FROM account WHERE id = ANY ($1) ORDER BY id;
EXECUTE find_any('{1,2,30}');
EXECUTE find_any(NULL);
PREPARE put(bigint, text) AS INSERT INTO account VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner RETURNING id, owner;
EXECUTE put(30, 'thirty');
EXECUTE put(30, 'THIRTY');
EXECUTE put(NULL, 'nobody');
RESET plan_cache_mode;
DEALLOCATE ALL;

-- refused
INSERT INTO account VALUES (NULL, 'x');
INSERT INTO account (owner) VALUES ('x'), ('y');
UPDATE account SET id = id + 1 WHERE id = 1;
INSERT INTO account VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2;
UPDATE account SET balance = nextval('numbers') WHERE id = 1;
UPDATE account SET balance = 1 FROM other WHERE other.id = account.id;
DELETE FROM movement WHERE no IN (SELECT id FROM other);
MERGE INTO account USING here ON here.id = account.id WHEN MATCHED THEN DELETE;
WITH gone AS (DELETE FROM account WHERE owner = 'x' RETURNING id) SELECT * FROM gone;
WITH w AS (UPDATE currency SET rate = 2 RETURNING *) SELECT * FROM account, w WHERE id = 1;
INSERT INTO other SELECT id, owner FROM account ON CONFLICT DO NOTHING;
SELECT ctid FROM account;
UPDATE currency SET rate = (SELECT max(amount) FROM movement);
UPDATE currency SET rate = random();
SELECT count(*) FROM account WHERE id = 1 AND balance > nextval('numbers');
SELECT nextval('numbers');

\set VERBOSITY terse
DROP SCHEMA planned CASCADE;
