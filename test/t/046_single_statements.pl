# Statements that commit by themselves on their node: what is all that a
# transaction does is so, and nothing else.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
$c->sql('c', 'CREATE TABLE t (a int PRIMARY KEY, v int)');
$c->sql('c', q{SELECT create_distributed_table('t', 'a')});
$c->sql('c', 'INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i');

my ($k1, $other) = map {
	$c->sql('c', "SELECT min(i) FROM generate_series(1, 20) i JOIN cluster_shards s ON hashint4(i) BETWEEN hash_min AND hash_max WHERE table_name = 't'::regclass AND group_id = $_")
} 1, 2;
my $s = PgCluster::Session->new($c, 'c');
my $update = "UPDATE t SET v = v + 1 WHERE a = $k1";

sub value { return $c->sql('c', "SELECT v FROM t WHERE a = " . ($_[0] // $k1)); }

sub psql
{
	my ($status, $out, $err) = $c->try_run("$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo('c'), map { ('-c', $_) } @_);
	return $out . $err;
}

# A script of pgbench's, whose clients do not repeat.
sub pgbench
{
	my ($mode, $script) = @_;
	PgCluster::write_file("$c->{dir}/script.sql", $script);
	my ($status, $out, $err) =
	  $c->try_run("$c->{bindir}/pgbench", '-n', '-M', $mode, '-t', 1, '-f', "$c->{dir}/script.sql", $c->conninfo('c'));
	return $out . $err;
}

is($s->run($update), '', 'an update');
is($s->run($update), '', '... once more');
is(value(), 2, '... is there');
is($c->sql('w1', q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgcluster%' AND query LIKE 'UPDATE%'}),
	1, '... and was all that the node was told');
$s->run("BEGIN; $update; COMMIT");
is($c->sql('w1', q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgcluster%' AND query = 'COMMIT'}),
	1, 'one in a block is committed');
is(value(), 3, '... and is there');

# What RETURNING shows of one row comes with it; of several, or where it is computed here, in a transaction.
my $begun = q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgcluster%' AND query = 'COMMIT'};
$s->run("UPDATE t SET v = v WHERE a = $k1");
is($s->run("$update RETURNING a, v"), "$k1|4", 'RETURNING of one row');
is($s->run("UPDATE t SET v = v - 1 WHERE a = $k1 AND v = 99 RETURNING v"), '', '... or none');
is($s->run("INSERT INTO t VALUES ($k1, 1) ON CONFLICT (a) DO UPDATE SET v = t.v - 1 RETURNING *"), "$k1|3", '... of an upsert');
is($c->sql('w1', $begun), 0, '... without a COMMIT');
is($s->run("UPDATE t SET v = v WHERE a = $k1 RETURNING (SELECT count(*) FROM t), v"), '20|3', '... with a subquery');
is($c->sql('w1', $begun), 1, '... with one');

# Whatever follows in the same transaction takes it along.
my $fails = 'SELECT 1/0';
like(psql("$update; $fails"), qr/division by zero/, 'two statements of one message, of which the second fails');
is(value(), 3, '... change nothing');
like(psql("DO \$\$BEGIN $update; PERFORM 1/0; END\$\$"), qr/division by zero/, 'a block of code that fails');
is(value(), 3, '... changes nothing');
like(psql("PREPARE u AS $update", 'EXECUTE u; SELECT 1/0'), qr/division by zero/, 'EXECUTE and a failure in one message');
is(value(), 3, '... change nothing');
like(psql("PREPARE u AS $update", 'DO $$BEGIN EXECUTE $e$EXECUTE u$e$; PERFORM 1/0; END$$'), qr/division by zero/, 'EXECUTE in code that fails');
is(value(), 3, '... changes nothing');
$c->sql('c', "CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql VOLATILE AS 'UPDATE t SET v = v + 1 WHERE a = $k1; SELECT 1/i'");
like(psql('SELECT f(0)'), qr/division by zero/, 'a function that fails');
is(value(), 3, '... changes nothing');

foreach my $mode (qw(extended prepared))
{
	my $before = value();

	pgbench($mode, "$update RETURNING v;\n");
	is(value(), $before + 1, "$mode: a statement followed by Sync");
	like(pgbench($mode, "\\startpipeline\n$update;\n$fails;\n\\endpipeline\n"), qr/division by zero/, '... in a pipeline with one that fails');
	is(value(), $before + 1, '... changes nothing');
	like(pgbench($mode, "\\startpipeline\nUPDATE t SET v = v + 1 WHERE a = $other;\n$update;\nINSERT INTO t VALUES ($k1, 0);\n\\endpipeline\n"),
		qr/duplicate key/, '... nor with others on two nodes');
	is(value(), $before + 1, '... here');
	is(value($other), $mode eq 'extended' ? 0 : 1, '... and there');
	pgbench($mode, "\\startpipeline\nUPDATE t SET v = v + 1 WHERE a = $other;\n$update;\n\\endpipeline\n");
	is(value() . value($other), $before + 2 . ($mode eq 'extended' ? 1 : 2), '... but a pipeline that goes well does');
}

# Errors of the node.
my $v = value();
like($s->run("UPDATE t SET v = 1 / (v - $v) WHERE a = $k1"), qr/22012/, 'an error of the node');
like($s->run("INSERT INTO t VALUES ($k1, 1)"), qr/23505/, '... and a constraint');
is($s->run($update), '', '... leave the session fit');
is(value(), ++$v, '... for what comes next');

# An error that comes with the end of the node's transaction.
$c->sql('c', 'CREATE TABLE d (a int, v int, UNIQUE (a, v) DEFERRABLE INITIALLY DEFERRED)');
$c->sql('c', q{SELECT create_distributed_table('d', 'a')});
$c->sql('c', 'INSERT INTO d VALUES (1, 1), (1, 2)');
like($s->run('UPDATE d SET v = 2 WHERE a = 1'), qr/23505/, 'a deferred constraint');
like($s->run('INSERT INTO d VALUES (1, 2) RETURNING v'), qr/^[^|]*23505/, '... with RETURNING');
like(pgbench('prepared', "UPDATE d SET v = 2 WHERE a = 1;\n"), qr/duplicate key/, '... with a prepared statement');
is($c->sql('c', 'SELECT min(v) FROM d'), 1, '... and nothing was changed');

# While it waits for a lock.
my $blocker = PgCluster::Session->new($c, 'w1');
my $shard = $c->sql('c', "SELECT shard_schema FROM cluster_shards WHERE table_name = 't'::regclass AND hashint4($k1) BETWEEN hash_min AND hash_max");
my $waiting = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'};

sub block
{
	$blocker->run("BEGIN; UPDATE $shard.t SET v = v WHERE a = $k1");
	$s->send($update);
	ok($c->poll('w1', $waiting), 'an update waits for a lock');
	return;
}
block();
$c->sql('c', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'UPDATE t%' AND state = 'active'});
like($s->wait, qr/57014: canceling statement due to user request/, '... and can be cancelled');
$blocker->run('ROLLBACK');
is(value(), $v, '... then it did nothing');
$s->run("SET statement_timeout = '300ms'");
block();
like($s->wait, qr/57014: canceling statement due to statement timeout/, '... or runs into a timeout');
$blocker->run('ROLLBACK');
is(value(), $v, '... then it did nothing');
$s->run('RESET statement_timeout');
block();
$blocker->run('COMMIT');
is($s->wait, '', '... or goes on');
is(value(), ++$v, '... then it did');

# The end of the node's session, and of the node.
block();
$c->sql('w1', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'});
like($s->wait, qr/08007: it is not known whether the transaction was committed/, 'a lost connection leaves a doubt');
$blocker->run('ROLLBACK');
is(value(), $v, '... and nothing was done twice');
is($s->run($update), '', '... the next statement works');
$c->restart_node('w1', 'fast');
is($s->run($update), '', '... and so does the first after a restart of the node');
$c->restart_node('w1', 'immediate');
is($s->run($update), '', '... or a crash');
is(value(), $v + 3, '... each done once');

# Readers of all nodes at once.
$s->run("SET pgcluster.read_consistency = 'atomic'");
is($s->run('SELECT count(*) FROM t'), 20, 'an atomic read');
is($s->run($update), '', '... and an update after it');
is(value(), $v + 4, '... which is there');

$c->stop;
done_testing();
