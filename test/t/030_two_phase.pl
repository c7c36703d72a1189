# Transactions that wrote on several nodes commit everywhere or nowhere,
# whoever dies at whatever moment.
#
# A node that waits for a synchronous standby that is not there stands still
# at a known point of its commit, which is where the others are killed.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
$c->sql($_, 'CREATE TABLE t (a int PRIMARY KEY)') foreach qw(c w1 w2);

sub hold { return $c->hold_commits(@_); }
sub let_go { return $c->release_commits(@_); }

# Waits until a session of the node stands still in its commit.
sub held
{
	return $c->poll($_[0], q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'});
}

sub insert
{
	my ($value, @nodes) = @_;
	return join ';', map {
		$_ eq 'c' ? "INSERT INTO t VALUES ($value)"
		  : "SELECT pgcluster.execute_on_group(" . substr($_, 1) . ", 'INSERT INTO public.t VALUES ($value)')"
	} @nodes;
}

# On how many of the three nodes the value is.
sub copies
{
	my ($value) = @_;
	my $n = 0;
	$n += $c->sql($_, "SELECT count(*) FROM t WHERE a = $value") foreach qw(c w1 w2);
	return $n;
}

sub no_leftovers
{
	my ($name) = @_;
	foreach my $node (qw(w1 w2))
	{
		ok($c->poll($node, 'SELECT count(*) = 0 FROM pg_prepared_xacts'), "$name: nothing prepared on $node");
	}
	ok( $c->poll('c', 'SELECT pgcluster.wake_maintenance(); SELECT count(*) FROM pgcluster.two_phase_record', "\n0"),
		"$name: no record is left");
	return;
}

my $s = PgCluster::Session->new($c, 'c');

# The plain ways.
$s->run('BEGIN;' . insert(1, qw(c w1 w2)) . '; COMMIT');
is(copies(1), 3, 'committed on all nodes');
$s->run('BEGIN;' . insert(2, qw(c w1 w2)) . '; ROLLBACK');
is(copies(2), 0, 'rolled back on all nodes');
$s->run('BEGIN;' . insert(3, 'w1') . '; COMMIT');
is(copies(3), 1, 'a single node commits');
no_leftovers('plain');

# Prepared by the user: nodes follow what becomes of it, whatever happens meanwhile.
$s->run('BEGIN;' . insert(4, qw(c w1 w2)) . "; PREPARE TRANSACTION 'mine'");
$s->run('BEGIN;' . insert(40, qw(c w1 w2)) . "; PREPARE TRANSACTION 'yours'");
$s->run('BEGIN;' . insert(41, 'w2') . "; PREPARE TRANSACTION 'one'");
is($c->sql($_, 'SELECT count(*) FROM pg_prepared_xacts'), $_ eq 'w1' ? 2 : 3, "prepared on $_") foreach qw(c w1 w2);
is(copies(4), 0, 'and not to be seen yet');
$c->kill_all('c');
$c->start_node('c');
$s->close;
$s = PgCluster::Session->new($c, 'c');
$s->run('SELECT pgcluster.wake_maintenance()');
$s->run('SET pgcluster.read_consistency = atomic');
is($s->run("COMMIT PREPARED 'mine'"), '', 'the user commits after a restart');
is(copies(4), 3, '... on all nodes');
is($s->run("ROLLBACK PREPARED 'yours'"), '', 'the user rolls back');
is(copies(40), 0, '... on all nodes');
$c->stop_node('w2', 'immediate');
$s->send("COMMIT PREPARED 'one'");
ok($c->poll('c', q{SELECT count(*) = 0 FROM pg_prepared_xacts}), 'the user commits while a node is down');
$c->start_node('w2');
is($s->wait, '', '... which commits when it is back');
is(copies(41), 1, '... at once');
no_leftovers('by the user');
$s->run('BEGIN;' . insert(42, 'w1') . "; PREPARE TRANSACTION 'bad'; ROLLBACK PREPARED 'bad'; RESET pgcluster.read_consistency");
is(copies(42), 0, 'nothing is left of it');

# PREPARE TRANSACTION fails on one node.
$c->sql('w2', <<'END');
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN IF NEW.a = 5 THEN RAISE EXCEPTION 'not five'; END IF; RETURN NEW; END$$;
CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fail();
END
like($s->run('BEGIN;' . insert(5, qw(w1 w2)) . '; COMMIT'),
	qr/P0001: not five/, 'the error of a deferred trigger arrives');
is(copies(5), 0, 'one node refuses, nobody commits');
no_leftovers('refused');

# The coordinator dies before its commit.
hold('w2');
$s->send('BEGIN;' . insert(6, qw(c w1 w2)) . '; COMMIT');
ok(held('w2'), 'w2 stands still while it prepares');
$c->sql('c', 'SELECT pgcluster.wake_maintenance()') foreach 1 .. 3;
is($c->sql('w1', 'SELECT count(*) FROM pg_prepared_xacts'), 1, 'a transaction in progress is left alone');
$c->kill_all('c');
let_go('w2');
$c->start_node('c');
no_leftovers('coordinator died before its commit');
is(copies(6), 0, '... so it is rolled back everywhere');

# The coordinator dies after its commit is on disk, before it told anyone.
$s->close;
$s = PgCluster::Session->new($c, 'c');
hold('c');
$s->send('BEGIN;' . insert(7, qw(c w1 w2)) . '; COMMIT');
ok(held('c'), 'the coordinator stands still in its commit');
is($c->sql($_, 'SELECT count(*) FROM pg_prepared_xacts'), 1, "prepared on $_") foreach qw(w1 w2);
$c->kill_all('c');
$c->start_node('c');
let_go('c');
no_leftovers('coordinator died after its commit');
is(copies(7), 3, '... so it is committed everywhere');

# A node dies while the coordinator commits.
$s->close;
$s = PgCluster::Session->new($c, 'c');
hold('c');
$s->send('BEGIN;' . insert(8, qw(c w1 w2)) . '; COMMIT');
ok(held('c'), 'the coordinator stands still again');
$c->stop_node('w1', 'immediate');
let_go('c');
like($s->wait, qr/WARNING:.*the transaction is committed, but node .* has not carried it out yet/,
	'the user hears of it');
is($s->run('SELECT 1'), 1, 'the session goes on');
$c->start_node('w1');
no_leftovers('node died');
is(copies(8), 3, '... and the node commits when it is back');

# The only node that wrote dies during its COMMIT.
hold('w1');
$s->send('BEGIN;' . insert(9, 'w1') . '; COMMIT');
ok(held('w1'), 'w1 stands still in its COMMIT');
$c->kill_all('w1');
like($s->wait, qr/08007: it is not known whether the transaction was committed/, 'an unknown outcome is said to be one');
$c->start_node('w1');
let_go('w1');
is($s->run(insert(10, 'w1')), 1, 'the next statement finds the node');
is(copies(10), 1, '... and works');

# A cancelled COMMIT is passed on; its outcome is still known.
hold('w1');
$s->send('BEGIN;' . insert(11, 'w1') . '; COMMIT');
ok(held('w1'), 'w1 stands still in its COMMIT');
$c->sql('c', 'SELECT pg_cancel_backend(' . $s->backend . ')');
like($s->wait, qr/canceling wait for synchronous replication/, 'the warning of the node arrives');
is(copies(11), 1, '... and the row is there');
let_go('w1');

# A group leaves when nothing that is prepared needs it: what recovery can end
# it does, what a user has prepared is his.
$s->run("CREATE TABLE r (a int PRIMARY KEY); SELECT create_reference_table('r')");
my $port = $c->node('c')->{port};
$s->run("SELECT cluster_add_node('127.0.0.1', $port, 3)");
$s->run("BEGIN; INSERT INTO r VALUES (1); PREPARE TRANSACTION 'mine'");
like($s->run('SELECT cluster_remove_node(3)'), qr/ERROR:  55006: group 3 is needed to end a transaction.*is prepared on group 3\./s, 'a group that has prepared stays');
$s->run("COMMIT PREPARED 'mine'");
my $id = $c->sql('c', 'SELECT system_identifier FROM pg_control_system()');
my $mine = "pgcluster_0_$id-0000000000000001_3.1_1";
$c->sql('w1', "BEGIN; INSERT INTO t VALUES (12); PREPARE TRANSACTION '$mine'");
is($s->run('SELECT cluster_remove_node(3)'), '', 'a group that has not leaves');
is($c->sql('w1', 'SELECT count(*) FROM pg_prepared_xacts'), 0, '... when what it decides has ended');
$s->run('DROP TABLE r');

# Tables and the extension go together.
$c->sql('c', "CREATE TABLE d (k int PRIMARY KEY); SELECT create_distributed_table('d', 'k')");
$s->run('BEGIN; DROP TABLE d; DROP EXTENSION pgcluster; COMMIT');
is($c->sql('c', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'pgcluster'}), 0, 'tables and the extension are dropped in one transaction');
is($c->sql($_, q{SELECT count(*) FROM pg_class WHERE relname = 'd'}), 0, "... and the shards on $_") foreach qw(w1 w2);

$s->close;
done_testing();
