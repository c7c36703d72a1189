# Statements on one shard that come again and again: from the third time on
# they are run without the executor's machinery and without libpq, unless
# something unusual happens.  Each is run six times, and must say the same.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use PgCluster;
use PgCluster::Session;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Test::More;

my $c = PgCluster->new(
	workers => 2,
	config => "deadlock_timeout = '100ms'\nshared_preload_libraries = 'pgcluster, pg_stat_statements'");
$c->start;
$c->sql('c', <<'END');
CREATE EXTENSION pg_stat_statements;
CREATE TABLE t (a int PRIMARY KEY, v int, b text);
SELECT create_distributed_table('t', 'a');
INSERT INTO t SELECT i, i % 3, 'row ' || i FROM generate_series(1, 40) i;
CREATE FUNCTION say(i int) RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'said %', i; RETURN i; END$$;
CREATE TABLE d (a int, v int, UNIQUE (a, v) DEFERRABLE INITIALLY DEFERRED);
SELECT create_distributed_table('d', 'a');
INSERT INTO d VALUES (1, 1), (1, 2);
CREATE TABLE here (a int, v int);
CREATE ROLE nobody_special;
END

my $s = PgCluster::Session->new($c, 'c');

# The answers of six times; one when they are the same.  %d is the number of the time.
sub again
{
	my ($sql, %options) = @_;
	my %seen;

	foreach my $i (1 .. 6)
	{
		my $out = $s->run($sql =~ s/%d/$i/gr);
		$out =~ s/^(?:LINE|LOCATION|CONTEXT):?.*\n?//mg;
		$seen{$out}++;
	}
	return join "\n", sort keys %seen;
}

is(again('SELECT * FROM t WHERE a = 7'), '7|1|row 7', 'a row by its key');
is(again('SELECT * FROM t WHERE a = 50 + %d'), '', 'no row');
is(again('SELECT v FROM t WHERE a = NULL::int'), '', 'a null key');
is(again('SELECT count(*), max(v), NULL FROM t WHERE a = 7'), '1|1|', 'one row of an aggregate');
like(again('SELECT 1 / (v - 1) FROM t WHERE a = 7'), qr/^ERROR:  22012: division by zero$/m, 'an error');
is(again('SELECT say(v) FROM t WHERE a = 7') =~ s/00000: //r, "NOTICE:  said 1\n1", 'a notice before the row');
like(again("SELECT set_config('TimeZone', 'UTC', false), a FROM t WHERE a = 7"), qr/^UTC\|7$/m, 'a setting that is reported');

# Longer than what is read at once, and about as long.
foreach my $length (100, 8000, 16360 .. 16384, 40000, 300000)
{
	$s->run("UPDATE t SET b = repeat('x', $length) WHERE a = 9");
	my $bad = grep { $s->run('SELECT * FROM t WHERE a = 9') ne '9|0|' . 'x' x $length } 1 .. 3;
	fail("a row of $length") if $bad;
}
is(again('SELECT length(b) FROM t WHERE a = 9'), 300000, 'rows of all lengths');
my $long = 'y' x 9000;
is(again("UPDATE t SET b = '$long' WHERE a = 9 AND b <> 'z'"), '', 'a long parameter');
is($s->run('SELECT length(b) FROM t WHERE a = 9'), 9000, '... was written');

# What is not answered by rows.
is(again("INSERT INTO t VALUES (100 + %d, 1, 'new')"), '', 'an INSERT');
like(again("INSERT INTO t VALUES (7, %d, 'new')"), qr/^ERROR:  23505/, '... of a key that is there');
like(again("INSERT INTO t VALUES (NULL, %d, 'new')"), qr/^ERROR:  23502/, '... without a key');
is(again("UPDATE t SET v = v + 1 WHERE a = 107 - %d"), '', 'an UPDATE');
is($s->run('SELECT count(*), sum(v) FROM t WHERE a > 100'), '6|12', '... of each');
is(again('DELETE FROM t WHERE a = 100 + %d'), '', 'a DELETE');
is($s->run('SELECT count(*) FROM t WHERE a > 100'), 0, '... of each');
like(again('UPDATE d SET v = 2 WHERE a = 1'), qr/^ERROR:  23505/, 'an error at the end of the transaction');

# Blocks.
is(again('BEGIN; UPDATE t SET v = v + 1 WHERE a = 7; SELECT v FROM t WHERE a = 7; ROLLBACK'), 2, 'a block reads what it wrote');
is($s->run('SELECT v FROM t WHERE a = 7'), 1, '... and forgets it');
$s->run('BEGIN; UPDATE t SET v = 50 WHERE a = 7');
foreach my $i (1 .. 6)
{
	$s->run("SAVEPOINT p; UPDATE t SET v = v + 1 WHERE a = 7");
	$s->run('SELECT 1 / (v - 51) FROM t WHERE a = 7');
	$s->run('ROLLBACK TO p');
}
is($s->run('SELECT v FROM t WHERE a = 7'), 50, 'savepoints take back what failed');
$s->run('COMMIT');
is($s->run('SELECT v FROM t WHERE a = 7'), 50, '... and no more');
like(again('BEGIN READ ONLY; UPDATE t SET v = 0 WHERE a = 7; ROLLBACK'), qr/^ERROR:  25006/, 'a transaction that only reads');
is(again('BEGIN READ ONLY; SELECT v FROM t WHERE a = 7; COMMIT'), 50, '... does read');
is(again('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT v FROM t WHERE a = 7; COMMIT'), 50, '... also twice');
is(again('BEGIN; SELECT say(v) FROM t WHERE a = 7; COMMIT'), "NOTICE:  00000: said 50\n50", 'a notice at its beginning');
like(again('BEGIN; SELECT 1 / (v - 50) FROM t WHERE a = 7; COMMIT'), qr/^ERROR:  22012/, '... or an error');
is(again('BEGIN; SELECT 1 FROM t WHERE a = 7; SELECT v FROM t WHERE a = 7; COMMIT'), "1\n50", '... or neither');
is(again('BEGIN; DECLARE x CURSOR FOR SELECT v FROM t WHERE a = 7; UPDATE t SET v = v + 1 WHERE a = 7; FETCH x; ROLLBACK'), 50,
	'a cursor sees what there was');
is(again('CREATE TEMP TABLE x AS SELECT v FROM t WHERE a = 7; SELECT * FROM x; DROP TABLE x'), 50, 'rows that go elsewhere');
is(again('PREPARE p AS SELECT v FROM t WHERE a = $1; EXECUTE p(7); DEALLOCATE p'), 50, 'PREPARE and EXECUTE');

# What changes between two times.
is($s->run(q{SET bytea_output = escape; SELECT 'a'::bytea FROM t WHERE a = 7}), 'a', 'a setting changes what a value looks like');
is($s->run(q{SET bytea_output = hex; SELECT 'a'::bytea FROM t WHERE a = 7}), '\x61', '... and back');
$s->run('SET app.tenant = 7');
is(again(q{SELECT current_setting('app.tenant', true)::int + a FROM t WHERE a = 7}), 14, 'a setting of the user');
like(again('SET ROLE nobody_special; SELECT v FROM t WHERE a = 7; RESET ROLE'), qr/^ERROR:  42501/, 'a role without privileges');
$c->sql('c', 'GRANT SELECT ON t TO nobody_special; ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (a <> 7)');
is(again('SET ROLE nobody_special; SELECT v FROM t WHERE a = 7; RESET ROLE'), '', 'a policy hides the row');
is(again('SELECT v FROM t WHERE a = 7'), 50, '... from others');
$c->sql('c', 'ALTER TABLE t ALTER v TYPE numeric(8, 2), ADD n int DEFAULT 5');
is(again('SELECT * FROM t WHERE a = 7'), '7|50.00|row 7|5', 'a table that was altered');
$c->sql('c', 'ALTER TABLE t ALTER v TYPE int, DROP n');
is(again('SELECT * FROM t WHERE a = 7'), '7|50|row 7', '... and back');

# Statements that wait.
my $blocker = PgCluster::Session->new($c, 'w1');
my ($k) = split /\n/, $c->sql('c', "SELECT i FROM generate_series(1, 40) i JOIN cluster_shards s ON hashint4(i) BETWEEN hash_min AND hash_max WHERE table_name = 't'::regclass AND group_id = 1 ORDER BY 1");
my $shard = $c->sql('c', "SELECT shard_schema FROM cluster_shards WHERE table_name = 't'::regclass AND hashint4($k) BETWEEN hash_min AND hash_max");
my $waits = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'};
my $lock = "SELECT a, v FROM t WHERE a = $k FOR UPDATE";
my $row = "$k|" . $s->run("SELECT v FROM t WHERE a = $k");

is(again($lock), $row, 'a row is locked');
$blocker->run("BEGIN; UPDATE $shard.t SET b = 'other' WHERE a = $k");
$s->send($lock);
ok($c->poll('w1', $waits), '... which has to wait');
$c->sql('c', 'SELECT pg_sleep(0.3)');	# longer than deadlock_timeout
$blocker->run('COMMIT');
is($s->wait, $row, '... for long, and comes');
$blocker->run("BEGIN; UPDATE $shard.t SET b = 'other' WHERE a = $k");
$s->run("SET statement_timeout = '300ms'");
like(again($lock), qr/^ERROR:  57014/, '... or not at all');
$s->run("BEGIN; SAVEPOINT p");
like($s->run($lock), qr/57014/, '... in a subtransaction');
is($s->run('ROLLBACK TO p; RESET statement_timeout; SELECT a FROM t WHERE a = 7; COMMIT'), 7, '... that can be taken back');
$s->run('RESET statement_timeout');
$blocker->run('ROLLBACK');

# A node that goes away.
my $end = q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'pgcluster%'};
my $read = "SELECT a, v FROM t WHERE a = $k";
is(again($read), $row, 'a read');
$c->sql('w1', $end);
is($s->run($read), $row, '... after its connection was closed');
is(again("$read AND pg_sleep(0) IS NOT NULL"), $row, '... which takes longer');
my $slow = "SELECT a, v FROM t WHERE a = $k AND pg_sleep(0.01) IS NOT NULL";
is(again($slow), $row, '... or long');
$blocker->run("BEGIN; LOCK TABLE $shard.t");
$s->send($read);
ok($c->poll('w1', $waits), '... and waits');
$c->sql('w1', q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'});
$c->poll('w1', $waits);
$blocker->run('ROLLBACK');
is($s->wait, $row, '... is asked again when its connection breaks');
$s->run("BEGIN; UPDATE t SET b = 'mine' WHERE a = $k");
$c->sql('w1', $end);
like($s->run($read), qr/^ERROR:  40001/, '... but not in the middle of a transaction');
$s->run('ROLLBACK');
is(again($read), $row, '... after which all is well');

# A node that stands still for a moment.
my $backend = $c->sql('w1', q{SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgcluster%' AND query LIKE '%SELECT%' ORDER BY state_change DESC LIMIT 1});
kill STOP => $backend;
$s->send($read);
$c->poll('c', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND state = 'active'});
kill CONT => $backend;
is($s->wait, $row, 'a node that stands still answers later');

# A network that splits what a node says: each answer in two, one byte later each time.
sub splitter
{
	my ($port) = @_;
	my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $!";
	my $pid = fork // die "fork: $!";
	return ($pid, $listener->sockport) if $pid;

	my $select = IO::Select->new($listener);
	my (%peer, %splits);
	my $n = 0;
	while (my @ready = $select->can_read)
	{
		foreach my $from (@ready)
		{
			if ($from == $listener)
			{
				my $client = $listener->accept or next;
				my $node = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or next;
				$_->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1) foreach $client, $node;
				$select->add($client, $node);
				($peer{$client}, $peer{$node}, $splits{$node}) = ($node, $client, 1);
				next;
			}
			my $to = $peer{$from} // next;
			if (!sysread $from, my $data, 65536)
			{
				delete @peer{ $from, $to };
				$select->remove($from, $to);
				close $_ foreach $from, $to;
				next;
			}
			elsif ($splits{$from} && length $data > 1)
			{
				my $at = 1 + $n++ % (length($data) - 1);
				syswrite $to, substr($data, 0, $at);
				select undef, undef, undef, 0.002;
				syswrite $to, substr($data, $at);
			}
			else { syswrite $to, $data; }
		}
	}
	POSIX::_exit(0);
}
my ($splitter, $port) = splitter($c->node('w1')->{port});
my $place = 'UPDATE pgcluster.member_group SET port = %d WHERE group_id = 1';
$c->sql('c', sprintf $place, $port);
foreach my $of ([ 'a read', $read, $row ], [ 'a write', "UPDATE t SET b = b WHERE a = $k" , '' ], [ 'an error', "SELECT 1 / (v - v) FROM t WHERE a = $k", qr/22012/ ],
	[ 'a notice', "SELECT say(a) FROM t WHERE a = $k", qr/said $k\n(?:LOCATION.*\n)?$k$/ ], [ 'a block', "BEGIN; SELECT a, v FROM t WHERE a = $k; COMMIT", $row ])
{
	my ($name, $sql, $expected) = @$of;
	my @bad = grep { ref $expected ? $_ !~ $expected : $_ ne $expected } map { $s->run($sql) } 1 .. 130;
	ok(!@bad, "$name that is split at every byte") or diag($bad[0]);
}
$c->sql('c', sprintf $place, $c->node('w1')->{port});
is($s->run($read), $row, '... and after that');
kill TERM => $splitter;
waitpid $splitter, 0;

# The other protocol: what is read must be what there is.
$c->sql('c', 'UPDATE t SET v = a * 2');
PgCluster::write_file("$c->{dir}/read.sql", <<'END');
\set a random(1, 40)
SELECT v + 0 AS v FROM t WHERE a = :a \gset
INSERT INTO here VALUES (:a, :v);
UPDATE t SET v = v WHERE a = :a;
END
foreach my $mode (qw(simple extended prepared))
{
	my ($status, $out, $err) = $c->try_run("$c->{bindir}/pgbench", '-n', '-M', $mode, '-c', 3, '-t', 60, '-f', "$c->{dir}/read.sql", $c->conninfo('c'));
	is($status, 0, "pgbench, $mode") or diag($err);
	is($c->sql('c', 'SELECT count(*), count(*) FILTER (WHERE v <> a * 2) FROM here'), '180|0', '... reads what there is');
	$c->sql('c', 'TRUNCATE here');
}

# Others look on.
is($c->sql('c', q{SELECT sum(calls), sum(rows) FROM pg_stat_statements WHERE query LIKE 'SELECT v + % AS v %'}), '540|540',
	'pg_stat_statements counts calls and rows');
$s->run("LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET client_min_messages = log");
like(again('SELECT v FROM t WHERE a = 7'), qr/LOG:  .*duration.*Custom Scan \(pgcluster\)/s, 'auto_explain shows the plan');

$c->stop;
done_testing();
