# How many connections the sessions of a server have to a node: more sessions
# than places, of which each gets its turn and none is forgotten.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

use constant { SESSIONS => 60, LIMIT => 4 };

my $c = PgCluster->new(workers => 2, config => "deadlock_timeout = 200ms\nmax_connections = 120\n");
$c->start;
$c->sql('c', <<'END');
CREATE TABLE t (k int PRIMARY KEY, v int);
SELECT create_distributed_table('t', 'k');
INSERT INTO t SELECT g, 0 FROM generate_series(1, 1000) g;
END

sub limit
{
	$c->sql('c', "ALTER SYSTEM SET pgcluster.max_shared_connections_per_node = $_[0]");
	$c->sql('c', 'SELECT pg_reload_conf()');
	return $c->poll('c', 'SHOW pgcluster.max_shared_connections_per_node', $_[0]);
}

# Sessions of clients on a node that came through the coordinator.
sub clients
{
	my ($node) = @_;
	return $c->sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgcluster%'});
}

sub waiting { return $c->sql('c', 'SELECT coalesce(sum(waiting), 0) FROM cluster_connections()'); }
sub connected { return $c->sql('c', 'SELECT coalesce(sum(connections), 0) FROM cluster_connections()'); }

# Keys that live on group 1 and on group 2.
my %keys;
foreach my $k (1 .. 40)
{
	my ($port) = $c->sql('c', "EXPLAIN SELECT v FROM t WHERE k = $k") =~ /Node: \S+:(\d+)/;
	push @{ $keys{$port} }, $k;
}
my @k1 = @{ $keys{ $c->node('w1')->{port} } };
my @k2 = @{ $keys{ $c->node('w2')->{port} } };
my ($k1, $k2) = ($k1[0], $k2[0]);

ok(limit(LIMIT), 'the limit is set');

# One key; all shards; transactions that hold connections while they take more, in either order.
my @work = (
	'SELECT v FROM t WHERE k = 17',
	'SELECT count(*) FROM t',
	sub {
		my $i = $_[0] % 2 * 5 + $_[0] % 5;    # rows of their own for each order
		my @two = ($k1[$i], $k2[$i]);
		@two = reverse @two if $_[0] % 2;
		return join ';', 'BEGIN', map({ "UPDATE t SET v = v + 1 WHERE k = $_" } @two), 'COMMIT', 'SELECT 7';
	});
my @sessions = map { PgCluster::Session->new($c, 'c') } 1 .. SESSIONS;
my $most = 0;

foreach my $round (1 .. 3)
{
	foreach my $n (0 .. $#sessions)
	{
		my $sql = $work[ ($n + $round) % 3 ];
		$sessions[$n]->send(ref $sql ? $sql->($n) : $sql);
	}
	foreach my $n (0 .. $#sessions)
	{
		my $now = $c->sql('c', 'SELECT coalesce(max(connections), 0) FROM cluster_connections()');
		$most = $now if $now > $most;
		my $answer = $sessions[$n]->wait;
		my $expected = (qr/^\d+$/, qr/^1000$/, qr/^7$/)[ ($n + $round) % 3 ];
		like($answer, $expected, "session $n in round $round") unless $answer =~ $expected;
	}
}
ok(1, 'all sessions got their answers');
cmp_ok($most, '<=', LIMIT, 'there were never more connections than allowed');
is(waiting(), 0, 'nobody waits in the end');

# Who holds the places, waits for the client, and dies.
my @holders = splice @sessions, 0, 6;
$_->close foreach @sessions;
$holders[$_]->run("BEGIN; UPDATE t SET v = v WHERE k = $k1[$_]") foreach 0 .. 2;
$_->send("SELECT v FROM t WHERE k = $k1") foreach @holders[3, 4];
ok($c->poll('c', 'SELECT sum(waiting) = 2 FROM cluster_connections()'), 'who needs a connection when there is none waits');
is($c->sql('c', 'SELECT pg_terminate_backend(' . $holders[3]->backend . ', 10000)'), 't', 'one that waits is killed');
ok($c->poll('c', 'SELECT sum(waiting) = 1 FROM cluster_connections()'), '... and leaves the line');
like($holders[5]->run("SET statement_timeout = '100ms'; SELECT v FROM t WHERE k = $k1"), qr/ERROR:  57014:/, 'statement_timeout ends the wait');
is($c->sql('c', 'SELECT pg_terminate_backend(' . $holders[0]->backend . ', 10000)'), 't', 'one that has a connection is killed');
like($holders[4]->wait, qr/^\d+$/, '... and the next gets it');
$_->run('ROLLBACK') foreach @holders[1, 2];
$_->close foreach @holders;
ok($c->poll('c', 'SELECT count(*) = 0 FROM cluster_connections()'), 'who leaves gives back what it had');
foreach my $node (qw(w1 w2))
{
	ok(PgCluster::wait_until(sub { clients($node) <= 1 }), "... and $node is left");
}

# A connection kept by an idle session is given back.
my ($one, $two, $three) = map { PgCluster::Session->new($c, 'c') } 1 .. 3;
ok(limit(2), 'a smaller limit');
is($one->run('SELECT count(*) FROM t'), 1000, 'one session uses both nodes');
is($two->run("SELECT count(*) FROM t"), 1000, 'the next gets what the first kept');

# One waits for a row whose owner waits for a connection.
$one->run("BEGIN; UPDATE t SET v = 5 WHERE k = $k1");
$two->send("BEGIN; UPDATE t SET v = 6 WHERE k = $k2; UPDATE t SET v = 6 WHERE k = $k1");
ok($c->poll('w1', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}), 'a transaction waits for a row of another');
like($one->run('SELECT count(*) FROM t; COMMIT'), qr/^1000$/, '... which goes over the limit rather than wait for a connection of the first');
is($two->wait, '', 'the first goes on');
$two->run('COMMIT');

# Sessions keep no connection when they should not.
$three->run('SET pgcluster.max_cached_connections_per_node = 0');
is($three->run('SELECT count(*) FROM t'), 1000, 'a session that keeps no connection');
$_->close foreach $one, $two;
ok($c->poll('c', 'SELECT count(*) = 0 FROM cluster_connections()'), '... has none when its transaction is over');
is($three->run('BEGIN; SELECT count(*) FROM t'), 1000, '... but keeps them in a transaction');
is(connected(), 2, '... one to each node');
$three->run('COMMIT');
is(connected(), 0, '... and none after it');

# A query that takes long uses more connections to a node, and stops on all of them.
ok(limit(50), 'a large limit');
my $long = 'SELECT count(*) FROM t WHERE (SELECT count(*) FROM generate_series(1, %d) g WHERE g %% (k + 1) = 0) > 0';
$c->sql('c', "INSERT INTO t SELECT g, 0 FROM generate_series(1001, 20000) g");
my $plan = $three->run('EXPLAIN (ANALYZE, COSTS OFF) ' . sprintf $long, 500);
like($plan, qr/Extra Connections: [1-9]/, 'a long query uses more than one connection to a node');
is(connected(), 0, '... which go when it is over');
unlike($three->run('BEGIN; EXPLAIN (ANALYZE, COSTS OFF) ' . sprintf($long, 500) . '; COMMIT'), qr/Extra/, '... but not in a transaction block');
$three->run("SET pgcluster.max_cached_connections_per_node = 1; SET statement_timeout = '1s'");
like($three->run(sprintf $long, 50000), qr/ERROR:  57014:/, 'statement_timeout stops a long query');
foreach my $node (qw(w1 w2))
{
	ok($c->poll($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%public\_%' AND pid <> pg_backend_pid()}),
		"... on each connection to $node");
}
is($three->run('RESET statement_timeout; SELECT count(*) FROM t'), 20000, 'the session goes on');
is(connected(), 2, '... with one connection to each node');
$three->run('SET pgcluster.max_session_connections_per_node = 1');
unlike($three->run('EXPLAIN (ANALYZE, COSTS OFF) ' . sprintf $long, 500), qr/Extra/, 'a setting keeps it to one connection');

# A cursor that reads a little of much, and a node that drops connections.
is($three->run('BEGIN; DECLARE k CURSOR FOR SELECT k FROM t; FETCH 1 FROM k; ROLLBACK') =~ /^\d+$/, 1, 'a cursor that is given up');
is($three->run('SELECT 1 FROM t LIMIT 1'), 1, 'LIMIT');
foreach my $node (qw(w1 w2))
{
	$c->sql($node, q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name LIKE 'pgcluster\_0%'});
}
is($three->run('SELECT count(*) FROM t'), 20000, 'connections that a node has dropped are replaced');
is(connected(), 2, '... and counted once');

$three->close;
ok($c->poll('c', 'SELECT count(*) = 0 FROM cluster_connections()'), 'nothing is left');
done_testing();
