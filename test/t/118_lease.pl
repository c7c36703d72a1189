# The shortest ttl: a leader that dies is replaced, one that lives is not,
# whatever etcd does, and one that takes its time to stop is waited for.
use strict;
use warnings;

use PgCluster;
use Test::More;
use Time::HiRes qw(time);

my $ttl = 2;
my $c = PgCluster->new(groups => { 0 => 2 }, dcs => { ttl => $ttl });
$c->start;
my $leader = $c->wait_ready(0);
my ($other) = grep { $_ ne $leader } $c->members(0);

# Waits while the writer goes on; says whether it did.
sub goes_on
{
	my ($writer, $port) = @_;
	my $count = $writer->acknowledged;

	return PgCluster::wait_until(
		sub { my @rows = $writer->acknowledged; @rows > $count + 20 && $rows[-1]{port} == $port });
}

is($c->sql($leader, 'SELECT ttl FROM cluster_lease()'), "00:00:0$ttl", 'the lease lasts two seconds');
my $writer = $c->writer(0);
PgCluster::wait_until(sub { $writer->acknowledged > 20 }) or BAIL_OUT('the writer does not write');

# Renewals fail for longer than the lease lasts.
$c->{store}->stop('KILL');
ok($c->poll($leader, 'SELECT fenced FROM cluster_lease()'), 'without etcd the fence closes');
is($c->sql($leader, 'SELECT pg_is_in_recovery()'), 'f', 'but nobody is demoted');
$c->{store}->start;
ok(goes_on($writer, $c->node($leader)->{port}), 'the same member goes on');

# A stop that takes several times the ttl: its checkpoint makes no progress.
{
	my ($checkpointer) =
	  grep { PgCluster::read_file("/proc/$_/cmdline") =~ /checkpointer/ } PgCluster::process_tree($c->postmaster_pid($leader));
	my $start = time();
	my $logged = -s $c->node($leader)->{log};

	kill 'STOP', $checkpointer;
	kill 'INT', $c->node($leader)->{pid};
	ok(PgCluster::wait_until(sub { time() - $start > 3 * $ttl }), 'a leader is told to stop and cannot');
	is($c->leader(0), $leader, 'it keeps the lease');
	is($c->sql($other, 'SELECT pg_is_in_recovery()'), 't', 'and nobody else leads');
	kill 'CONT', $checkpointer;
	is($c->new_leader(0, $leader), $other, 'when it has stopped another member leads');
	ok(goes_on($writer, $c->node($other)->{port}), 'the writer goes on');
	PgCluster::wait_until(sub { defined $c->exit_status($leader) });
	$c->start_node($leader);
	$c->wait_streaming($leader);
	unlike(substr(PgCluster::read_file($c->node($leader)->{log}), $logged), qr/rewinding|cloning/, 'it comes back without a rewind');
}

# All of it dies at once.
my $start = time();
$c->wait_ready(0);
$c->kill_all($other);
is($c->new_leader(0, $other), $leader, 'a leader that dies is replaced');
ok(goes_on($writer, $c->node($leader)->{port}), 'the writer goes on');
my @rows = $writer->stop;
my $gap = PgCluster::Writer::longest_gap($start, @rows);
cmp_ok($gap, '<', 15, sprintf('after %.2f s', $gap));
$c->start_node($other);
$c->wait_streaming($other);

$c->stop;
done_testing();
