# What runs on worker groups: shells of distributed tables there, what
# functions make of them, and functions that are called where their key lives.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @nodes = map { PostgreSQL::Test::Cluster->new($_) } qw(coordinator one two three);
for my $node (@nodes)
{
	$node->init;
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'pgcluster'\nmax_prepared_transactions = 20\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pgcluster');
}
my ($coordinator, @workers) = @nodes;
my $late = pop @workers;
$coordinator->safe_psql('postgres',
	sprintf("SELECT cluster_add_node('%s', %d)", $_->host, $_->port))
  for @workers;
$coordinator->safe_psql('postgres', slurp_file("$FindBin::Bin/../ddl_compare.sql"));
$coordinator->safe_psql('postgres', <<'SQL');
-- How the shells on the groups differ from the table here.
CREATE FUNCTION shell_differences(of text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    ours text[];
    theirs text[];
    g integer;
BEGIN
    SET LOCAL search_path = pg_catalog;
    EXECUTE format('SELECT array_agg(d) FROM (%s) q(d)', public.describe_query(of)) INTO ours;
    FOR g IN SELECT group_id FROM pgcluster.member_group LOOP
        SELECT array_agg(regexp_replace(d[1], '([a-z]+)_[0-9]{6,}\.', '\1.', 'g')) INTO theirs
        FROM pgcluster.query_on_group(g, public.describe_query(of)) d
        WHERE d[1] !~ 'pgcluster.no_default';
        RETURN QUERY SELECT 'here: ' || d FROM unnest(ours) d WHERE d <> ALL (theirs) OR theirs IS NULL
            UNION SELECT 'group ' || g || ': ' || d FROM unnest(theirs) d WHERE d <> ALL (ours) ORDER BY 1;
    END LOOP;
END $$;
SQL

# alike TABLE, SQL, NAME: after the statements shells and shards are as their table.
sub alike
{
	my ($table, $sql, $name) = @_;
	my $failed = $coordinator->psql('postgres', "SET client_min_messages = warning; $sql",
		stderr => \my $stderr, on_error_stop => 1);

	diag($stderr) if $failed;
	is($coordinator->safe_psql('postgres', "SELECT * FROM differences('$table')"), '', "$name, shards");
	is($coordinator->safe_psql('postgres', "SELECT * FROM shell_differences('$table')"), '', "$name, shells");
	return;
}

sub fails_like
{
	my ($node, $sql, $pattern, $name) = @_;
	my $failed = $node->psql('postgres', $sql, stderr => \my $stderr, on_error_stop => 1);

	like($failed ? $stderr : 'no error', $pattern, $name);
	return;
}

$coordinator->safe_psql('postgres', <<'SQL');
CREATE SCHEMA app;
CREATE ROLE reader LOGIN;
CREATE TYPE app.state AS ENUM ('new', 'paid');
CREATE TABLE app.kind (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO app.kind VALUES (1, 'book'), (2, 'pen');
CREATE TABLE app.customer (id integer PRIMARY KEY, name text NOT NULL, spent numeric NOT NULL DEFAULT 0);
CREATE TABLE app.sale (customer integer REFERENCES app.customer, number integer, kind integer REFERENCES app.kind,
    price numeric CHECK (price > 0), state app.state DEFAULT 'new', at timestamptz DEFAULT now(),
    PRIMARY KEY (customer, number));
INSERT INTO app.customer SELECT g, 'customer ' || g FROM generate_series(1, 100) g;
SQL
alike('app.kind', "SELECT create_reference_table('app.kind')", 'a reference table');
alike('app.customer', "SELECT create_distributed_table('app.customer', 'id', shard_count => 8)", 'a distributed table');
alike('app.sale', "SELECT create_distributed_table('app.sale', 'customer', colocate_with => 'app.customer')", 'with foreign keys');
alike('app.sale', <<'SQL', 'changes of columns');
ALTER TABLE app.sale ADD COLUMN gone integer;
ALTER TABLE app.sale ADD COLUMN note text COLLATE "C" DEFAULT 'none';
ALTER TABLE app.sale DROP COLUMN gone;
ALTER TABLE app.sale ALTER COLUMN price TYPE numeric(12,2), ALTER COLUMN price SET NOT NULL;
ALTER TABLE app.sale RENAME COLUMN note TO remark;
SQL
alike('app.sale', <<'SQL', 'other changes');
CREATE INDEX sale_state ON app.sale (state);
CREATE UNIQUE INDEX CONCURRENTLY sale_at ON app.sale (customer, at, number);
CREATE STATISTICS app.sale_kinds ON kind, state FROM app.sale;
ALTER TABLE app.sale ADD CONSTRAINT dear CHECK (price < 1000000) NOT VALID;
ALTER TABLE app.sale VALIDATE CONSTRAINT dear;
CREATE FUNCTION app.upper_remark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.remark := upper(NEW.remark); RETURN NEW; END';
CREATE TRIGGER upper_remark BEFORE INSERT ON app.sale FOR EACH ROW EXECUTE FUNCTION app.upper_remark();
ALTER TABLE app.sale ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON app.sale FOR SELECT TO reader USING (kind % 2 = 1);
GRANT USAGE ON SCHEMA app TO reader;
GRANT SELECT ON app.sale TO reader;
ALTER TABLE app.sale REPLICA IDENTITY FULL;
SQL
alike('app.deed', 'ALTER TABLE app.sale RENAME TO deed', 'a new name');
alike('deeds.deed', 'CREATE SCHEMA deeds; ALTER TABLE app.deed SET SCHEMA deeds', 'a new schema');
alike('app.sale', 'ALTER TABLE deeds.deed SET SCHEMA app; ALTER TABLE app.deed RENAME TO sale; DROP SCHEMA deeds', 'and back');
alike('app.log', <<'SQL', 'a partitioned table');
CREATE TABLE app.log (customer integer, day date, line text) PARTITION BY RANGE (day);
CREATE TABLE app.log_1 PARTITION OF app.log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE INDEX ON app.log (line);
SELECT create_distributed_table('app.log', 'customer', colocate_with => 'app.customer');
CREATE TABLE app.log_2 PARTITION OF app.log FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
SQL
alike('app.log_2', '', 'its partition');
$coordinator->safe_psql('postgres', 'CREATE TABLE app.counted (k integer, id serial, ident bigint GENERATED ALWAYS AS IDENTITY);'
	  . "SELECT create_distributed_table('app.counted', 'k', colocate_with => 'app.customer')");

# A node that joins later.
$coordinator->safe_psql('postgres', sprintf("SELECT cluster_add_node('%s', %d)", $late->host, $late->port));
is($coordinator->safe_psql('postgres', "SELECT * FROM shell_differences('$_')"), '', "a group that joins has $_")
  for qw(app.kind app.customer app.sale app.log app.log_1 app.log_2);
alike('app.customer', 'ALTER TABLE app.customer ADD COLUMN since date', 'and follows');

# What nodes make of queries on shells.
my $here = $workers[0];
my ($key) = $here->safe_psql('postgres', "SELECT string_agg(g::text, ' ' ORDER BY g) FROM generate_series(1, 100) g, pgcluster.shell s"
	  . " WHERE relid = 'app.customer'::regclass AND group_ids[1 + (SELECT count(*) FROM unnest(hash_maxima) m WHERE m < hashint4(g))] = 1") =~ /^(\d+)/;
my ($other) = $here->safe_psql('postgres', "SELECT string_agg(g::text, ' ' ORDER BY g) FROM generate_series(1, 100) g, pgcluster.shell s"
	  . " WHERE relid = 'app.customer'::regclass AND group_ids[1 + (SELECT count(*) FROM unnest(hash_maxima) m WHERE m < hashint4(g))] = 2") =~ /^(\d+)/;
$coordinator->safe_psql('postgres', "INSERT INTO app.sale (customer, number, kind, price, at) VALUES ($key, 1, 1, 5, '2020-01-01'), ($key, 2, 2, 7, '2020-01-01')");
is($here->safe_psql('postgres', "SELECT name FROM app.customer WHERE id = $key"), "customer $key", 'a row that is here');
is($here->safe_psql('postgres', "SELECT s.number, k.name, c.name FROM app.sale s JOIN app.customer c ON c.id = s.customer JOIN app.kind k ON k.id = s.kind"
	  . " WHERE c.id = $key ORDER BY 1"), "1|book|customer $key\n2|pen|customer $key", 'joins of what is here');
is($here->safe_psql('postgres', 'SELECT count(*) FROM app.kind'), '2', 'a reference table is here');
is($here->safe_psql('postgres', "SET ROLE reader; SELECT count(*) FROM app.sale WHERE customer = $key"), '1', 'policies hold');
fails_like($here, "SELECT name FROM app.customer WHERE id = $other", qr/not on this worker group.*on group 2/s, 'a row that is not');
fails_like($here, 'SELECT count(*) FROM app.customer', qr/cannot run this statement.*No distribution column/s, 'all rows');
fails_like($here, "INSERT INTO app.kind VALUES (3, 'ink')", qr/cannot write reference table/, 'a reference table is not written');
fails_like($here, "UPDATE app.customer SET id = 7 WHERE id = $key", qr/cannot change distribution column/, 'no row moves');
fails_like($here, $_, qr/cannot use (?:COPY|TRUNCATE|LOCK) with distributed table/, $_)
  for 'COPY app.sale TO STDOUT', 'TRUNCATE app.sale', 'LOCK app.sale';
fails_like($here, $_, qr/cannot change distributed table "sale" on a worker group/, $_)
  for 'ALTER TABLE app.sale ADD COLUMN x integer', 'DROP TABLE app.sale', 'CREATE INDEX ON app.sale (remark)';
fails_like($here, "INSERT INTO app.counted (k) VALUES ($key)", qr/default of column counted.id cannot be computed/, 'a sequence of integers');
is($_->safe_psql('postgres', "INSERT INTO app.counted (k, id) SELECT k, 0 FROM (VALUES (" . ($_ == $here ? $key : $other) . "), ("
	  . ($_ == $here ? $key : $other) . ")) v (k); SELECT currval('app.counted_ident_seq') = lastval()"), 't', 'one of bigints has a range there') for @workers;
$coordinator->safe_psql('postgres', "INSERT INTO app.counted (k) VALUES ($key), ($other); ALTER TABLE app.counted ADD COLUMN more integer");
is($here->safe_psql('postgres', "INSERT INTO app.counted (k, id) VALUES ($key, 0) RETURNING ident = (SELECT max(ident) + 1 FROM app.counted WHERE k = $key)"), 't', 'which it goes on with');
is($coordinator->safe_psql('postgres', 'SELECT count(DISTINCT ident), count(*), count(DISTINCT ident >> 36) FROM app.counted'), '7|7|3', 'that nobody else has');
fails_like($coordinator, "SELECT setval('app.counted_ident_seq', max(ident)) FROM app.counted", qr/out of bounds for sequence/, 'not even by setval()');
fails_like($coordinator, 'ALTER TABLE app.counted ALTER ident SET NO MAXVALUE', qr/cannot go beyond 144115188075855871/, 'nor without its limit');
is($here->safe_psql('postgres', "INSERT INTO app.sale (customer, number, kind, price, remark) VALUES ($key, 3, 2, 1, 'x') RETURNING state, remark"), 'new|X', 'rows go in');
is($here->safe_psql('postgres', "INSERT INTO app.sale (customer, number, kind, price) VALUES ($key, 3, 2, 2), ($key, 4, 2, 2)"
	  . ' ON CONFLICT ON CONSTRAINT sale_pkey DO UPDATE SET price = excluded.price RETURNING number'), "3\n4", 'several, with ON CONFLICT');
fails_like($here, "INSERT INTO app.sale (customer, number, kind, price) VALUES ($key, 5, 2, 2), ($other, 5, 2, 2)",
	qr/rows with keys of several shards/, 'not of several shards');
is($here->safe_psql('postgres', "INSERT INTO app.log SELECT customer, at::date, remark FROM app.sale WHERE customer = $key AND number < 3 RETURNING day"),
	"2020-01-01\n2020-01-01", 'rows of a query, into a partition');
is($here->safe_psql('postgres', "INSERT INTO app.sale (customer, number, kind, price) SELECT $key, g, 2, 2 FROM generate_series(7, 9) g RETURNING number"),
	"7\n8\n9", 'rows made');
fails_like($here, "INSERT INTO app.sale (customer, number, kind, price) SELECT 0, g, 99, 2 FROM generate_series(7, 9) g",
	qr/not on this worker group|violates foreign key/, 'foreign keys hold');
is($here->safe_psql('postgres', "UPDATE app.sale SET price = price + 1 WHERE customer = $key AND number = 9 RETURNING price"), '3.00', 'rows change');
is($here->safe_psql('postgres', "DELETE FROM app.sale WHERE customer = $key AND number = 9 RETURNING price"), '3.00', 'and go');
is($coordinator->safe_psql('postgres', "SELECT count(*) FROM app.sale WHERE customer = $key"), '6', 'all of it is in the shard');

# Plans that are kept.
$here->safe_psql('postgres', <<"SQL");
CREATE FUNCTION by_plpgsql(k integer) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT name FROM app.customer WHERE id = k); END';
CREATE FUNCTION by_sql(k integer) RETURNS SETOF text VOLATILE LANGUAGE sql AS 'UPDATE app.customer SET spent = spent + 1 WHERE id = k; SELECT name || spent FROM app.customer WHERE id = k';
SQL
is($here->safe_psql('postgres', "SELECT count(by_plpgsql($key)) FROM generate_series(1, 20)"), '20', 'in PL/pgSQL');
is($here->safe_psql('postgres', "SELECT by_sql($key); SELECT by_sql($key)"), "customer ${key}1\ncustomer ${key}2", 'in SQL');
fails_like($here, "SELECT by_plpgsql($other)", qr/not on this worker group/, 'not for the keys of others');
is($here->safe_psql('postgres', "PREPARE p(integer) AS SELECT name FROM app.customer WHERE id = \$1;"
	  . " SET plan_cache_mode = force_generic_plan; EXECUTE p($key); EXPLAIN (COSTS OFF) EXECUTE p($key)"), "customer $key\nCustom Scan (pgcluster)\n  Tier: on node", 'one plan for all keys');

# Functions that are called where their key lives.
sub ask { my ($sql, $node) = @_; return ($node // $coordinator)->safe_psql('postgres', $sql); }

ask(<<'SQL');
SET client_min_messages = warning;
SET search_path = app;
CREATE FUNCTION buy(who integer, what integer, dear numeric DEFAULT 1) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    n integer;
BEGIN
    SELECT coalesce(max(number), 0) + 1 INTO n FROM sale WHERE customer = who;
    INSERT INTO sale (customer, number, kind, price) VALUES (who, n, what, dear);
    UPDATE customer SET spent = spent + dear WHERE id = who;
    RETURN (SELECT spent FROM customer WHERE id = who);
END $$;
CREATE FUNCTION sales(who integer) RETURNS SETOF sale LANGUAGE sql AS 'SELECT * FROM sale WHERE customer = who ORDER BY number';
CREATE FUNCTION node() RETURNS text LANGUAGE sql AS $$SELECT current_setting('port')$$;
CREATE FUNCTION place(k integer, OUT port text, OUT usr text, OUT path text, OUT zone text) LANGUAGE sql
    AS $$SELECT node(), current_user::text, current_setting('search_path'), current_setting('TimeZone')$$;
CREATE FUNCTION nothing(k integer) RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM 1 / (k - 1000); END';
CREATE FUNCTION all_of_it(k integer) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customer';
CREATE PROCEDURE pay(who integer, INOUT amount numeric, OUT was text) LANGUAGE plpgsql AS $$
BEGIN
    was := current_setting('port');
    UPDATE customer SET spent = spent - amount WHERE id = who RETURNING spent INTO amount;
END $$;
CREATE PROCEDURE pay_in_parts(who integer, parts integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. parts LOOP
        UPDATE customer SET spent = spent - 1 WHERE id = who;
        COMMIT;
    END LOOP;
END $$;
CREATE FUNCTION buy_plain(who integer, what integer, dear numeric DEFAULT 1) RETURNS numeric LANGUAGE sql AS 'SELECT buy(who, what, dear)';
SELECT create_distributed_function('buy(integer, integer, numeric)', 'who', colocate_with => 'app.customer');
SELECT create_distributed_function('sales(integer)', '$1', colocate_with => 'customer');
SELECT create_distributed_function(oid::regprocedure, '$1') FROM pg_proc
WHERE pronamespace = 'app'::regnamespace AND proname IN ('place', 'nothing', 'all_of_it', 'pay', 'pay_in_parts');
SELECT create_distributed_function('node()');
SQL
my ($here_port, $other_port) = map { $_->port } @workers;
is(ask("SET search_path = app; SELECT port FROM place($key)"), $here_port, 'a call runs where its key lives');
is(ask("SET search_path = app; SET TimeZone = 'Asia/Tokyo'; SELECT * FROM app.place($other)"), join('|', $other_port, $coordinator->safe_psql('postgres', 'SELECT current_user'), 'app', 'Asia/Tokyo'),
	'as the same user, with the same settings');
is(ask("SET search_path = app; SELECT buy($key, 1, 10); SELECT buy(what => 2, who => $key); SELECT buy($key, 2) - 12"), "12\n13\n2", 'it reads and writes there; arguments by name and defaults');
is(ask("SET search_path = app; SELECT number, price FROM sales($key) "), ask("SELECT number, price FROM app.sale WHERE customer = $key ORDER BY number"), 'rows come back');
is(ask("SET search_path = app; SELECT sales($key)"), ask("SELECT s FROM app.sale s WHERE customer = $key ORDER BY number"), 'as values, too');
is(ask("SET search_path = app; SELECT nothing($key)"), '', 'nothing comes back');
is(ask("SET search_path = app; SELECT (SELECT port FROM place($key)) = '" . $coordinator->port . "', count(*) FROM sales($key) WHERE number > 0"),
	't|' . ask("SELECT count(*) FROM app.sale WHERE customer = $key"), 'a call that is part of more runs here');
fails_like($coordinator, 'SELECT app.nothing(1000)', qr/division by zero.*PL\/pgSQL function app.nothing.*node .*group/s, 'an error says where');
is(ask('SET search_path = app; SELECT all_of_it(1)'), '100', 'what needs other groups runs here');
is(ask("SET search_path = app; PREPARE p(integer) AS SELECT port FROM place(\$1); EXECUTE p($key); EXECUTE p($other); SET plan_cache_mode = force_generic_plan; EXECUTE p($other); EXECUTE p($key)"),
	"$here_port\n$other_port\n$other_port\n$here_port", 'one prepared statement for all keys');
like(ask("SET search_path = app; EXPLAIN (COSTS OFF) SELECT * FROM sales($key)"), qr/Tier: call\n.*SQL: SELECT .*app.sales\(/s, "EXPLAIN shows the call");

# Transactions.
is(ask("SET search_path = app; BEGIN; SELECT buy($key, 1, 100); UPDATE customer SET spent = spent + 1 WHERE id = $key; SELECT buy($key, 1, 100); ROLLBACK; SELECT spent FROM customer WHERE id = $key"),
	"114\n215\n14", 'calls are part of the transaction') ;
is(ask("SET search_path = app; BEGIN; SELECT buy($key, 1, 5); SAVEPOINT s; SELECT buy($other, 1, 7); ROLLBACK TO s; SELECT buy($other, 1, 3); COMMIT; SELECT spent FROM customer WHERE id IN ($key, $other) ORDER BY id"),
	join("\n", 19, 7, 3, $key < $other ? (19, 3) : (3, 19)), 'and of subtransactions, on several nodes');
is(ask("SET search_path = app; DO 'BEGIN PERFORM buy($key, 1, 1); PERFORM nothing(1000); EXCEPTION WHEN division_by_zero THEN NULL; END'; SELECT spent FROM customer WHERE id = $key"), '19', 'and of blocks');

# CALL.
is(ask("SET search_path = app; CALL pay($key, 4, NULL)"), "15|$here_port", 'CALL with OUT and INOUT');
is(ask("SET search_path = app; CALL pay_in_parts($key, 3); SELECT spent FROM customer WHERE id = $key"), '12', 'a procedure commits where it runs');
is(ask("SET search_path = app; BEGIN; CALL pay($key, 2, NULL); CALL pay($other, 1, NULL); ROLLBACK; SELECT spent FROM customer WHERE id = $key"), "10|$here_port\n2|$other_port\n12", 'in a transaction block');
fails_like($coordinator, "SET search_path = app; BEGIN; CALL pay_in_parts($key, 3)", qr/invalid transaction termination/, 'where it cannot commit');
is(ask("SET search_path = app; DO 'DECLARE a numeric := 2; w text; BEGIN CALL pay($key, a, w); RAISE WARNING ''% %'', a, w; COMMIT; END'; SELECT spent FROM customer WHERE id = $key"), '10', 'from PL/pgSQL');

# Calls that need more than their node has: what they did there is taken back, and they run here.
ask(<<'SQL');
SET client_min_messages = warning;
SET search_path = app;
CREATE TABLE ledger (line text);
CREATE FUNCTION give(who integer, other integer, amount numeric) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customer SET spent = spent - amount WHERE id = who;
    UPDATE customer SET spent = spent + amount WHERE id = other;
    RETURN (SELECT count(*) FROM customer) || ' ' || current_user;
EXCEPTION WHEN others THEN
    RETURN 'caught ' || sqlerrm;
END $$;
CREATE FUNCTION everybody(k integer, OUT id integer, OUT name text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT k, 'first';
    UPDATE customer c SET spent = spent WHERE c.id = k;
    RETURN QUERY SELECT c.id, c.name FROM customer c WHERE c.id < 3 ORDER BY 1;
END $$;
CREATE FUNCTION note(k integer, VARIADIC lines text[]) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO kind VALUES (k + 1000, 'noted');
    INSERT INTO counted (k) VALUES (k);
    INSERT INTO ledger SELECT unnest(lines);
    SELECT count(*) FROM ledger $$;
CREATE FUNCTION given_back(k integer, x anyelement) RETURNS anyelement STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM count(*) FROM customer; RETURN x; END';
CREATE PROCEDURE settle(who integer, other integer, early boolean, OUT sum numeric) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customer SET spent = spent - 1 WHERE id = who;
    IF early THEN COMMIT; END IF;
    UPDATE customer SET spent = spent + 1 WHERE id = other;
    COMMIT;
    SELECT sum(spent) INTO settle.sum FROM customer;
END $$;
CREATE PROCEDURE early(who integer, other integer) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customer SET spent = spent - 1 WHERE id = who;
    COMMIT;
    UPDATE customer SET spent = spent + 1 WHERE id = other;
END $$;
SELECT create_distributed_function(oid::regprocedure, '$1', 'customer') FROM pg_proc
WHERE pronamespace = 'app'::regnamespace AND proname IN ('give', 'everybody', 'note', 'given_back', 'settle', 'early');
GRANT SELECT, UPDATE ON customer TO reader;
SQL
my $spent = "SELECT string_agg(spent::text, ' ' ORDER BY id = $other) FROM app.customer WHERE id IN ($key, $other)";
my $app = 'SET search_path = app;';
my ($mine, $others) = split ' ', ask($spent);
ask("UPDATE app.customer SET spent = 0");
is(ask("$app SET ROLE reader; SELECT give($key, $other, 5); RESET ROLE; $spent"), "100 reader\n-5 5", 'writing on two groups, past a handler of all errors');
is(ask("$app BEGIN; UPDATE customer SET spent = 0 WHERE id = $key; SELECT give($key, $other, 1) IS NULL; SAVEPOINT s; SELECT give($key, $other, 1) IS NULL; $spent; ROLLBACK TO s; SELECT give($other, $key, 3) IS NULL; COMMIT; $spent"),
	"f\nf\n-2 7\nf\n2 3", 'in a transaction that has written there');
is(ask("$app DO \$\$BEGIN FOR i IN 1 .. 10 LOOP PERFORM give($key, $other, 1); BEGIN PERFORM give($key, $other, 1); PERFORM nothing(1000); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END\$\$; $spent"),
	'-8 13', 'again and again, with subtransactions');
is(ask("$app SELECT * FROM everybody($key); BEGIN; SELECT place($key) IS NULL; SELECT id FROM everybody($key); COMMIT"),
	"$key|first\n1|customer 1\n2|customer 2\nf\n$key\n1\n2", 'rows');
like(ask("$app EXPLAIN (ANALYZE, COSTS OFF) SELECT * FROM everybody($key)"), qr/Called Again: here/, 'EXPLAIN tells');
is(ask("$app SELECT note($key, 'a', 'b'); SELECT note($other, VARIADIC ARRAY['c'])"), "2\n3", 'reference tables, integers of a sequence, local tables');
is(ask("SELECT count(*), count(DISTINCT id) FROM app.counted WHERE id > 0"), '4|4', 'whose values stay apart');
is(ask("$app BEGIN READ ONLY; SELECT given_back($key, 'x'::text); SELECT given_back($other, 7); PREPARE p(integer, text) AS SELECT given_back(\$1, \$2); EXECUTE p($key, 'y'); EXECUTE p(NULL, 'z'); COMMIT"),
	"x\n7\ny\nz", 'polymorphic, prepared, in a read-only transaction');
is(ask("$app CALL settle($key, $other, false, NULL) ; $spent"), "5\n-9 14", 'a procedure that has not committed there');
fails_like($coordinator, "$app CALL settle($key, $other, true, NULL)", qr/not on this worker group.*procedure has committed on its node/s, 'but not one that has');
is(ask($spent), '-10 14', 'as what it committed stays');
is(ask("$app DO \$\$DECLARE s numeric; BEGIN CALL settle($key, $other, true, s); RAISE WARNING '%', s; END\$\$; $spent"), '-11 15', 'one that wants to commit in a block that may');

# To take it back: without an argument.
is(ask("$app SELECT create_distributed_function('settle(integer, integer, boolean)'); CALL settle($key, $other, true, NULL); $spent"), "\n4\n-12 16", 'a procedure whose calls run here again');
like(ask('SELECT cluster_distribution_commands()'), qr/create_distributed_function\('app.settle\(integer,integer,boolean\)'\);/, 'which a dump says, too');

ask("UPDATE app.customer SET spent = CASE id WHEN $key THEN $mine ELSE $others END WHERE id IN ($key, $other)");

# What follows.
ask("SET search_path = app; CREATE OR REPLACE FUNCTION node() RETURNS text LANGUAGE sql AS \$\$SELECT 'on ' || current_setting('port')\$\$");
is(ask("SET search_path = app; SELECT port FROM place($key)"), "on $here_port", 'functions follow changes');
ask('CREATE ROLE stranger LOGIN; GRANT USAGE ON SCHEMA app TO stranger; REVOKE EXECUTE ON FUNCTION app.buy FROM PUBLIC');
fails_like($coordinator, "SET ROLE stranger; SELECT app.buy($key, 1)", qr/permission denied for function buy/, 'who may not call it here');
fails_like($coordinator, "SET ROLE stranger; SET search_path = app; SELECT * FROM sales($key)", qr/permission denied for table sale/, 'privileges count there');
ask('ALTER FUNCTION app.sales(integer) SECURITY DEFINER');
is(ask("SET ROLE stranger; SET search_path = app; SELECT count(*) > 0 FROM (SELECT 1) x, sales($key)"), 't', 'so do those of the owner') ;
fails_like($coordinator, "SELECT create_distributed_function('app.buy(integer, integer, numeric)', 'nobody')", qr/has no argument "nobody"/, 'no such argument');
fails_like($coordinator, "SELECT create_distributed_function('app.buy(integer, integer, numeric)', 'dear', 'app.customer')", qr/not distributed by a column of type numeric/, 'an argument of another type');
like(ask('SELECT cluster_distribution_commands()'), qr/create_distributed_function\('app.buy\(integer,integer,numeric\)', '\$1', colocate_with => 'app.customer'\)/, 'a dump knows of it');
ask('DROP FUNCTION app.buy_plain; DROP FUNCTION app.buy(integer, integer, numeric)');
is(ask("SELECT count(*) FROM pgcluster.distributed_function WHERE funcid::oid NOT IN (SELECT oid FROM pg_proc)"), '0', 'a function that is dropped is forgotten');
is(ask("SELECT to_regproc('app.buy') IS NULL", $here), 't', 'everywhere');

# What fires on shards works on the rows beside them.
ask(<<'SQL');
CREATE FUNCTION app.add_up() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    UPDATE app.customer SET spent = spent + NEW.price * (SELECT id FROM app.kind WHERE name = 'pen') WHERE id = NEW.customer;
    RETURN NULL;
END$$;
CREATE TRIGGER add_up AFTER INSERT ON app.sale FOR EACH ROW EXECUTE FUNCTION app.add_up();
SQL
is(ask("INSERT INTO app.sale (customer, number, kind, price) VALUES ($key, 100, 1, 10), ($other, 100, 1, 20); SELECT spent FROM app.customer WHERE id IN ($key, $other) ORDER BY id"),
	$key < $other ? "30.00\n43.00" : "43.00\n30.00", 'triggers see tables beside theirs');

# Rules rewrite statements here.
ask("CREATE RULE quiet AS ON DELETE TO app.sale DO INSTEAD NOTHING");
is(ask("SET search_path = app; SELECT port FROM place($key)"), 'on ' . $coordinator->port, 'where tables have rules calls run here');
ask("DROP RULE quiet ON app.sale; VACUUM app.sale");
is(ask("SET search_path = app; SELECT port FROM place($key)"), "on $here_port", 'and there without them');

# A group that joins has the functions, too.
ask('SELECT cluster_remove_node(3)');
ask(sprintf("SELECT cluster_add_node('%s', %d)", $late->host, $late->port));
is(ask('SELECT node FROM app.node()', $late), 'on ' . $late->port, 'a group that joins has the functions');

# The node of the key is started again.
$here->restart;
is(ask("SET search_path = app; SELECT port FROM place($key)"), "on $here_port", 'the next call works after a restart of its node');

# The node dies during calls: what had done nothing yet is sent again.
ask("SET search_path = app; CREATE FUNCTION doze() RETURNS void LANGUAGE sql AS \$\$SELECT pg_sleep(CASE current_setting('test.awake', true) WHEN 'on' THEN 0 ELSE 600 END)\$\$;
    CREATE PROCEDURE slow(k integer, early boolean) LANGUAGE plpgsql AS 'BEGIN
    UPDATE customer SET spent = spent + 1000 WHERE id = k; IF early THEN COMMIT; END IF;
    UPDATE customer SET spent = spent + 500 WHERE id = k; PERFORM doze(); END';
    CREATE FUNCTION slow(k integer) RETURNS void LANGUAGE plpgsql AS 'BEGIN UPDATE customer SET spent = spent + 500 WHERE id = k; PERFORM doze(); END';
    SELECT create_distributed_function('doze()'), create_distributed_function('slow(integer, boolean)', 'k', 'customer'), create_distributed_function('slow(integer)', 'k', 'customer')");
for (["BEGIN; UPDATE customer SET spent = spent + 10 WHERE id IN ($key, $other); SELECT slow($key)", '40001', 0],
	["CALL slow($key, true)", '08007', 1000],
	["SELECT slow($key)", undef, 500])
{
	my ($sql, $pattern, $kept) = @$_;
	my $want = ask("SELECT spent + $kept FROM app.customer WHERE id = $key") . ' ' . ask("SELECT spent FROM app.customer WHERE id = $other");
	my $answer;

	$here->append_conf('postgresql.conf', 'test.awake = off');
	$here->reload;
	open(my $psql, '-|', "psql -XAtq -v VERBOSITY=verbose -d '" . $coordinator->connstr('postgres') . "' -c 'SET search_path = app'"
		  . " -c '$sql' -c ROLLBACK -c 'SELECT port FROM place($key)' 2>&1") or die $!;
	$here->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") or die;
	$here->append_conf('postgresql.conf', 'test.awake = on');
	$here->stop('immediate');
	$here->start;
	$answer = join('', <$psql>);
	close($psql);
	like($answer, qr/^on $here_port$/m, "$sql: the next call works") or diag($answer);
	is(join(' ', $answer =~ /^ERROR:  (\w+)/mg), $pattern // '', '... one error or none');
	is(ask($spent), $want, '... and nothing half done');
}

# With atomic reads about, no procedure may commit on its node.
ask("UPDATE app.customer SET spent = 0");
is(ask("$app BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL pgcluster.read_consistency = atomic; SELECT give($key, $other, 1) IS NULL; SELECT give($key, $other, 1) IS NULL; COMMIT; $spent"), "f\nf\n-2 2", 'with atomic reads');
is(ask("$app CALL early($key, $other); $spent"), '-3 3', 'and procedures that commit');

$coordinator->safe_psql('postgres', "DROP TABLE app.log; SELECT undistribute_table('app.counted')");
is($here->safe_psql('postgres', "SELECT string_agg(relid::text, ' ' ORDER BY relid::text) FROM pgcluster.shell"), 'app.customer app.kind app.sale', 'shells go with their tables');
$coordinator->safe_psql('postgres', 'SELECT cluster_remove_node(3)');
is($late->safe_psql('postgres', "SELECT count(*) FROM pgcluster.shell"), '0', 'and with their group');

$_->stop for @nodes;
done_testing();
