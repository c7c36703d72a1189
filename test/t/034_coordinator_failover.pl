# The coordinator's leader dies in the middle of a two-phase commit: the next
# leader finishes it, one way or the other, by what it finds in its records.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 2, 1 => 1, 2 => 1 }, etcd => 1);
$c->start;
$c->wait_ready($_) foreach 0, 1, 2;
$c->sql($_, 'CREATE EXTENSION IF NOT EXISTS pgcluster') foreach 0, 1, 2;
$c->sql(0, <<'END');
CREATE TABLE t (k int PRIMARY KEY);
SELECT create_distributed_table('t', 'k');
END

# A group's leader stands still in its commits, until told otherwise.
sub hold { return $c->hold_commits(@_); }
sub let_go { return $c->release_commits(@_); }
sub held { return $c->poll($_[0], q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}); }

sub fail_over
{
	my $old = $c->leader(0);

	$c->kill_all($old);
	$c->new_leader(0, $old);
	return $old;
}

sub settled
{
	my ($name) = @_;
	ok($c->poll($_, 'SELECT count(*) = 0 FROM pg_prepared_xacts'), "$name: nothing is prepared in group $_") foreach 1, 2;
	ok($c->poll(0, 'SELECT pgcluster.wake_maintenance(); SELECT count(*) FROM pgcluster.two_phase_record', "\n0"),
		"$name: no record is left");
	return;
}

# Group 2 decides about a transaction; of another one group 1 prepares its part.
my $s = PgCluster::Session->new($c, $c->leader(0));
my $other = PgCluster::Session->new($c, $c->leader(0));
hold(2);
$s->send('INSERT INTO t SELECT generate_series(1, 100)');
ok(held(2), 'group 2 stands still while it decides');
is($c->sql(1, 'SELECT count(*) FROM pg_prepared_xacts'), 1, 'group 1 has prepared');
hold(1);
$other->send('INSERT INTO t SELECT generate_series(201, 300)');
ok(held(1), '... and stands still while it prepares something else');
my $old = fail_over();
let_go($_) foreach 1, 2;
settled('killed before the commit');
is($c->sql(0, 'SELECT count(*), max(k) FROM t'), '100|100', '... and what group 2 has committed is committed, the other is not');
$s->close;
$other->close;
$c->sql(0, 'CREATE TABLE here (a int); TRUNCATE t');

$c->start_node($old);
$c->wait_ready(0);
$s = PgCluster::Session->new($c, $c->leader(0));
hold(0);
$s->send('BEGIN; INSERT INTO here VALUES (1); INSERT INTO t SELECT generate_series(1, 100); COMMIT');
ok(held(0), 'the coordinator stands still in its commit');
my $lsn = $c->sql(0, 'SELECT pg_current_wal_flush_lsn()');
ok($c->poll($old, "SELECT pg_last_wal_receive_lsn() >= '$lsn'"), '... and its standby has it');
is($c->sql($_, 'SELECT count(*) FROM pg_prepared_xacts'), 1, "group $_ has prepared") foreach 1, 2;
fail_over();
settled('killed after the commit');
is($c->sql(0, 'SELECT count(*) FROM t'), 100, '... and everything is committed');
$s->close;

# A leader that comes back begins as a standby, where nobody can read atomically.
my $leader = $c->leader(0);
$c->kill_all($leader);
$c->{store}->stop('KILL');
$c->start_node($leader);
PgCluster::wait_until(sub { $c->accepts($leader) });
$s = PgCluster::Session->new($c, $leader);
is($s->run('SELECT pg_is_in_recovery()'), 't', 'a leader begins as a standby when it comes back');
$s->send('SET pgcluster.read_consistency = atomic; SELECT count(*) FROM t');
$c->{store}->start;
is($s->wait, 100, '... and an atomic read waits until it leads again');
$s->close;

done_testing();
