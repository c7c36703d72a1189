# At every step of two-phase commit the process that is at it is killed, and
# the server it runs on is stopped at once: the transaction is on all nodes or
# on none, nothing is left over, and who was told so was told the truth.

use strict;
use warnings;

use PgCluster;
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
# a step on a node that makes recovery necessary first.
my @steps = (
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
is_deeply([ sort map { $_->[0] } @steps ], [ split /\n/, $c->sql('c', 'SELECT name FROM pgcluster.failpoints() ORDER BY name COLLATE "C"') ],
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
foreach my $action (qw(kill stop))
{
	foreach my $step (@steps)
	{
		my ($name, $node, $everywhere, $before) = @$step;
		my $value = ++$n * ($name =~ /roll/ ? -1 : 1);

		arm($node, $name, $action);
		arm('w1', $before, 'kill') if $before;
		my ($status, undef, $err) = $c->try_sql('c',
			'BEGIN;' . join(';', "INSERT INTO t VALUES ($value)", map { "SELECT pgcluster.execute_on_group($_, 'INSERT INTO public.t VALUES ($value)')" } 1, 2)
			  . '; COMMIT');
		ok(revive($node, $action), "$name, $action: the server is there again");
		if (!$everywhere && $status == 0) { fail("$name, $action: the session was told a falsehood"); diag $err; }
		foreach my $other (qw(w1 w2))
		{
			$c->poll($other, 'SELECT count(*) = 0 FROM pg_prepared_xacts') or fail("$name, $action: something is left prepared on $other");
		}
		is(join(',', map { $c->sql($_, "SELECT count(*) FROM t WHERE a = $value") } qw(c w1 w2)),
			join(',', ($everywhere) x 3), "$name, $action: " . ($everywhere ? 'on all nodes' : 'on none'));
	}
}
ok($c->poll('c', 'SELECT pgcluster.wake_maintenance(); SELECT count(*) FROM pgcluster.two_phase_record', "\n0"), 'no record is left');

done_testing();
