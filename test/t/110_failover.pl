# Switchovers to named members, there and back again, with a writer running:
# no acknowledged row is missing, and the members agree on the data.  What else
# makes a leader go is in 115_faults.pl.
use strict;
use warnings;

use PgCluster;
use Test::More;
use Time::HiRes qw(time);

my $c = PgCluster->new(groups => { 0 => 3 }, etcd => 3, sync => 'quorum');
$c->start;

sub hands_over
{
	my ($what, $from, $to) = @_;
	my $writer = $c->writer(0);

	PgCluster::wait_until(sub { $writer->acknowledged > 20 }) or BAIL_OUT('the writer does not write');
	my $start = time();
	is($c->sql($from, "SELECT cluster_switchover('$to')"), $to, "$what: says who leads");
	is($c->new_leader(0, $from), $to, "$what: the named candidate leads");

	my $port = $c->node($to)->{port};
	ok(PgCluster::wait_until(
			sub { my @rows = $writer->acknowledged; $rows[-1]{port} == $port && $rows[-1]{at} > $start + 0.2 }),
		"$what: the writer goes on");
	$c->wait_streaming($from);
	my @rows = $writer->stop;
	is(scalar $c->lost_rows(0, $writer, @rows), 0, "$what: no acknowledged row of " . @rows . ' is missing');
	my $gap = PgCluster::Writer::longest_gap($start, @rows);
	cmp_ok($gap, '<', 5, sprintf('%s: the writer waited %.2f s', $what, $gap));
	$c->wait_ready(0);
	return;
}

my $first = $c->wait_ready(0);
my ($second) = grep { $_ ne $first } $c->members(0);
hands_over('switchover', $first, $second);
hands_over('switchover back', $second, $first);

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
