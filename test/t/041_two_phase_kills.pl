# At every step of two-phase commit the process that is at it is killed, and
# the server it runs on is stopped at once: the transaction is on all nodes or
# on none, nothing is left over, and who was told so was told the truth.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
$c->sql($_, 'CREATE TABLE t (a int PRIMARY KEY)') foreach qw(c w1 w2);

# The second node refuses to prepare negative numbers.
$c->sql('w2', <<'END');
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN IF NEW.a < 0 THEN RAISE EXCEPTION 'negative'; END IF; RETURN NEW; END$$;
CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();
END

# Step, where it is, what becomes of the transaction (1: it is everywhere), and
# a step on a node that makes recovery necessary first.  Of transactions that
# write here too, so that the coordinator decides ...
my @here = (
	[qw(recorded c 0)],
	[qw(preparing c 0)],
	[qw(prepared c 0)],
	[qw(committed c 1)],
	[qw(telling c 1)],
	[qw(told c 1)],
	[qw(done c 1)],
	[qw(rolling_back c 0)],
	[qw(node_preparing w1 0)],
	[qw(node_prepared w1 0)],
	[qw(node_committing w1 1)],
	[qw(node_committed w1 1)],
	[qw(node_rolling_back w1 0)],
	[qw(node_rolled_back w1 0)],
	[qw(recovery_listed c 1 node_committing)],
	[qw(recovery_finished c 1 node_committing)]);
# ... and of those that write on the nodes alone, of which the second decides.
my @there = (
	[qw(prepared c 0)],
	[qw(deciding c 1)],
	[qw(committed c 1)],
	[qw(told c 1)],
	[qw(done c 1)],
	[qw(rolling_back c 0)],
	[qw(node_preparing w1 0)],
	[qw(node_prepared w1 0)],
	[qw(node_deciding w2 0)],
	[qw(node_decided w2 1)],
	[qw(node_committing w1 1)],
	[qw(node_committed w1 1)],
	[qw(node_rolling_back w1 0)],
	[qw(recovery_listed c 1 node_committing)],
	[qw(recovery_decided c 1 node_committing)],
	[qw(recovery_finished c 1 node_committing)]);
my %tried = map { $_->[0] => 1 } @here, @there;
is_deeply([ sort keys %tried ], [ split /\n/, $c->sql('c', 'SELECT name FROM pgcluster.failpoints() ORDER BY name COLLATE "C"') ],
	'every step is tried');

sub arm { $c->sql($_[0], "SELECT pgcluster.arm_failpoint('$_[1]', '$_[2]')"); return; }

# A node that dies is there again.
sub revive
{
	my ($node, $action) = @_;
	if ($action eq 'stop')
	{
		PgCluster::wait_until(sub { defined $c->exit_status($node) });
		$c->start_node($node);
	}
	return $c->poll($node, q{SELECT count(*) FROM pgcluster.failpoints() WHERE action <> 'off'}, 0);
}

my $n = 0;
my $session;

sub try_step
{
	my ($action, $local, $name, $node, $everywhere, $before) = @_;
	my $what = ($local ? 'decided here' : 'decided there') . ", $name, $action";
	my $value = ++$n * ($name =~ /roll/ ? -1 : 1);

	arm($node, $name, $action);
	arm('w1', $before, 'kill') if $before;
	$session //= PgCluster::Session->new($c, 'c');
	$session->send(join '; ', 'BEGIN', ($local ? "INSERT INTO t VALUES ($value)" : ()),
		(map { "SELECT pgcluster.execute_on_group($_, 'INSERT INTO public.t VALUES ($value)')" } 1, 2), 'COMMIT');
	ok(revive($node, $action), "$what: the server is there again");
	my $answer = $session->wait;
	my $told = $answer =~ /ERROR|FATAL|connection/ ? 0 : 1;
	if ($node eq 'c')
	{
		$session->close;
		undef $session;
	}
	foreach my $other (qw(w1 w2))
	{
		$c->poll($other, 'SELECT count(*) = 0 FROM pg_prepared_xacts') or fail("$what: something is left prepared on $other");
	}
	is(join(',', map { $c->sql($_, "SELECT count(*) FROM t WHERE a = $value") } ($local ? 'c' : ()), qw(w1 w2)),
		join(',', ($everywhere) x ($local ? 3 : 2)), "$what: " . ($everywhere ? 'on all nodes' : 'on none'));
	is($told, $node eq 'c' && !$before ? 0 : $everywhere, "$what: the session is told so") or diag $answer;
	return;
}

foreach my $action (qw(kill stop))
{
	try_step($action, 1, @$_) foreach @here;
	try_step($action, 0, @$_) foreach @there;
}
ok($c->poll('c', 'SELECT pgcluster.wake_maintenance(); SELECT count(*) FROM pgcluster.two_phase_record', "\n0"), 'no record is left');

# Asking is deciding: who comes late fails, who is at it is waited for.
my $decision = 'pgcluster_0_test_2.1';
is($c->sql('w2', "SELECT pgcluster.resolve_decision('$decision', current_user)"), 'f', 'a decision that is not there is made');
like(($c->try_sql('w2', "BEGIN; INSERT INTO t VALUES (1000000); SET LOCAL pgcluster.decision = '$decision'; COMMIT"))[2],
	qr/the transaction was given up before it was committed/, '... and the transaction fails');
$c->hold_commits('w2');
my $late = PgCluster::Session->new($c, 'w2');
$late->send("BEGIN; INSERT INTO t VALUES (1000001); SET LOCAL pgcluster.decision = '${decision}0'; COMMIT");
ok($c->poll('w2', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}), 'a node stands still while it decides');
my $asking = PgCluster::Session->new($c, 'w2');
$asking->send("SELECT pgcluster.resolve_decision('${decision}0', current_user)");
ok($c->poll('w2', q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted}), 'who asks waits');
$c->release_commits('w2');
is($late->wait . $asking->wait, 't', '... for the answer');
$_->close foreach $late, $asking;
$c->sql('w2', 'CREATE ROLE other');
like(($c->try_sql('w2', "SET ROLE other; SELECT pgcluster.resolve_decision('$decision', 'postgres')"))[2], qr/permission denied/, 'nobody asks for another role');
$c->sql('w2', 'DELETE FROM pgcluster.two_phase_decision WHERE name ~ $$_test_$$');

$c->sql('w2', "UPDATE pgcluster.two_phase_decision SET decided_at = decided_at - interval '1 hour'");
ok( $c->poll('c', 'SELECT pgcluster.wake_maintenance(); SELECT count(*) = 0 FROM pgcluster.query_on_group(2, $$SELECT 1 FROM pgcluster.two_phase_decision$$, false)', "\nt"),
	'no decision is left after a while');

done_testing();
