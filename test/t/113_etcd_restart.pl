# The members of etcd are killed and started again one after the other: no
# failover, and the writer hardly notices.
use strict;
use warnings;

use PgCluster;
use Test::More;
use Time::HiRes qw(time);

my $c = PgCluster->new(groups => { 0 => 2 }, etcd => 3, dcs => { ttl => 3 });
$c->start;
my $leader = $c->leader(0);
my $timeline = $c->sql($leader, 'SELECT timeline_id FROM pg_control_checkpoint()');
my $writer = $c->writer(0);

PgCluster::wait_until(sub { $writer->acknowledged > 50 });
my $start = time();
foreach my $i (0 .. 2)
{
	$c->{store}->stop_member($i, 'KILL');

	# Longer than the lease lives.
	my $until = time() + 4;
	ok(PgCluster::wait_until(sub { my @rows = $writer->acknowledged; $rows[-1]{at} > $until }),
		"rows are written without member $i of etcd");
	$c->{store}->start_member($i);
	ok(PgCluster::wait_until(sub { $c->{store}->member_healthy($i) }), "member $i of etcd is back");
}
my @rows = $writer->stop;
is($c->leader(0), $leader, 'the leader is the same');
is($c->sql($leader, 'SELECT timeline_id FROM pg_control_checkpoint()'), $timeline, 'on the same timeline');
is(scalar $c->lost_rows(0, $writer, @rows), 0, 'no acknowledged row of ' . @rows . ' is missing');
my $gap = PgCluster::Writer::longest_gap($start, @rows);
cmp_ok($gap, '<', 5, sprintf('the writer waited %.2f s at most', $gap));
diag(sprintf('longest gap: %.2f s', $gap));

$c->stop;
done_testing();
