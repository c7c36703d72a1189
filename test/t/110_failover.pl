# Leaders die in every way, with a writer running: another one takes over, no
# acknowledged row is missing, and the old leader comes back by itself.
use strict;
use warnings;

use PgCluster;
use Test::More;
use Time::HiRes qw(time);

my $c = PgCluster->new(
	groups => { 0 => 3 },
	etcd => 3,
	settings => { synchronous_standby_names => 'ANY 1 (*)' });
$c->start;

# Runs an event that takes the lead from the leader; says who led and leads.
sub changes_leader
{
	my ($what, $event, %limits) = @_;
	my $old = $c->leader(0);
	my $writer = $c->writer(0);

	PgCluster::wait_until(sub { $writer->acknowledged > 20 }) or BAIL_OUT('the writer does not write');
	my $start = time();
	$event->($old);
	my $new = $c->new_leader(0, $old);
	isnt($new, $old, "$what: another member leads");

	# The writer gets on with the new leader.
	my $port = $c->node($new)->{port};
	ok(PgCluster::wait_until(
			sub { my @rows = $writer->acknowledged; @rows && $rows[-1]{port} == $port && $rows[-1]{at} > $start + 0.2 }),
		"$what: the writer goes on");
	$c->start_node($old) if defined $c->exit_status($old);
	$c->wait_streaming($old);
	pass("$what: the old leader streams again");

	my @rows = $writer->stop;
	my @lost = $c->lost_rows(0, $writer, @rows);
	is(scalar @lost, 0, "$what: no acknowledged row of " . @rows . ' is missing');
	my $gap = PgCluster::Writer::longest_gap($start, @rows);
	cmp_ok($gap, '<', $limits{gap}, sprintf('%s: the writer waited %.2f s', $what, $gap));
	$c->wait_ready(0);
	return ($old, $new);
}

changes_leader('postmaster killed', sub { $c->kill_postmaster($_[0]) }, gap => 10);
changes_leader('all processes killed', sub { $c->kill_all($_[0]) }, gap => 15);
changes_leader('clean stop', sub { $c->stop_node($_[0]) }, gap => 10);

# There, and back again.
my ($first, $second) = changes_leader('switchover', sub { $c->sql($_[0], 'SELECT cluster_switchover()') }, gap => 5);
my (undef, $third) =
  changes_leader('switchover back', sub { $c->sql($_[0], "SELECT cluster_switchover('$first')") }, gap => 5);
is($third, $first, 'the named candidate leads');

# The members agree on the data.
$c->sql(0, 'CREATE TABLE last_word AS SELECT 42 AS answer');
my $lsn = $c->sql(0, 'SELECT pg_current_wal_lsn()');
foreach my $name (grep { $_ ne $first } $c->members(0))
{
	ok($c->poll($name, "SELECT pg_last_wal_replay_lsn() >= '$lsn'"), "$name has all WAL");
	is($c->sql($name, 'SELECT answer FROM last_word'), '42', "$name has the last row");
}

$c->stop;
done_testing();
