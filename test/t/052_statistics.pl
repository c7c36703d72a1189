# Statistics of distributed tables follow their shards by themselves, and
# nobody waits for the worker that collects them.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2, config => "deadlock_timeout = 100ms\n");
$c->start;

sub naptime
{
	$c->sql('c', "ALTER SYSTEM SET pgcluster.analyze_naptime = '$_[0]'");
	return $c->sql('c', 'SELECT pg_reload_conf()');
}

sub rows_are
{
	my ($table, $rows) = @_;

	return $c->poll('c', "SELECT reltuples FROM pg_class WHERE oid = '$table'::regclass", $rows);
}

$c->sql('c', <<'END');
CREATE TABLE t (k int PRIMARY KEY, v int);
SELECT create_distributed_table('t', 'k', shard_count => 4);
CREATE TABLE left_alone (k int PRIMARY KEY) WITH (autovacuum_enabled = off);
SELECT create_distributed_table('left_alone', 'k');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN tricky AS int CHECK (VALUE < 5);
CREATE TABLE odd (k int, p pair, d tricky[], gone int);
SELECT create_distributed_table('odd', 'k');
ALTER TABLE odd DROP COLUMN gone;
INSERT INTO left_alone SELECT generate_series(1, 500);
INSERT INTO odd SELECT g, ROW (g, 'x')::pair, ARRAY[3] FROM generate_series(1, 100) g;
INSERT INTO t SELECT g, g % 7 FROM generate_series(1, 1000) g;
END
naptime('1s');
ok(rows_are('t', 1000), 'a new table is looked at');
is($c->sql('c', "SELECT n_distinct FROM pg_stats WHERE tablename = 't' AND attname = 'v'"), 7, 'and its columns are known');
ok(rows_are('odd', 100), 'types of all kinds do not stop it');
is($c->sql('c', "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_stats WHERE tablename = 'odd'"), 'k p',
	'values that a domain would check are not looked at');

$c->sql('c', 'DELETE FROM t WHERE k > 400');
ok(rows_are('t', 400), 'many changes are noticed');
$c->sql('c', 'VACUUM t');
ok(rows_are('t', 400), 'VACUUM leaves the number of rows alone');
$c->sql('c', 'CLUSTER t USING t_pkey');
is($c->sql('c', q{SELECT reltuples FROM pg_class WHERE relname = 't'}), 400, 'and so does CLUSTER');
$c->sql('c', 'TRUNCATE t; INSERT INTO t SELECT g, 1 FROM generate_series(1, 300) g');
ok(rows_are('t', 300), 'what TRUNCATE forgets is found again');
is($c->sql('c', q{SELECT reltuples FROM pg_class WHERE relname = 'left_alone'}), -1, 'a table without autovacuum is left alone');

# The worker hangs at a shard that somebody has locked, with a lock on the table.
my $held = q{SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid)
	WHERE backend_type = 'pgcluster statistics' AND relation = 't'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted};
my ($shard) = $c->sql('w1', q{SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
	WHERE relname = 't' AND nspname <> 'public' LIMIT 1});

sub hang
{
	my $blocker = PgCluster::Session->new($c, 'w1');

	naptime('0');
	$c->poll('c', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgcluster statistics'}, 0);
	$c->sql('c', q{DELETE FROM pgcluster.table_statistics WHERE relid = 't'::regclass});
	$blocker->run("BEGIN; LOCK TABLE $shard");
	naptime('1s');
	ok($c->poll('c', $held, 1), 'the worker waits for a shard');
	return $blocker;
}

my $blocker = hang();
my $locker = PgCluster::Session->new($c, 'c');
$locker->send('BEGIN; LOCK TABLE t');
ok($c->poll('c', q{SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND mode = 'AccessExclusiveLock' AND granted}, 1),
	'who wants a stronger lock gets it');
$blocker->close;
$locker->wait;
is($locker->run('COMMIT'), '', 'and goes on');
$locker->close;

$blocker = hang();
my ($status, undef, $err) = $c->try_sql('c', 'CREATE DATABASE another TEMPLATE postgres');
is($status, 0, 'who wants the database for himself gets it') or diag $err;
$c->sql('c', 'DROP DATABASE another');
$blocker->close;

done_testing();
