# A paused group goes on as it is; what is asked for by name happens all the same.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 3 }, dcs => { ttl => 2 });
$c->start;
my $leader = $c->leader(0);
my ($second, $third) = grep { $_ ne $leader } $c->members(0);

sub refused
{
	my ($name, $sql, $pattern, $what) = @_;
	my ($status, undef, $err) = $c->try_sql($name, $sql, args => [ '-v', 'VERBOSITY=verbose' ]);

	isnt($status, 0, "$what: refused");
	like($err, $pattern, "$what: why");
	return;
}

# What is planned for later, and cancelled.
is($c->sql($second, "SELECT cluster_switchover('$second', at => now() + interval '1 hour')"), $second, 'a switchover is planned');
refused($leader, 'SELECT cluster_switchover()', qr/55000: .*another switchover/s, 'a second one');
$c->sql($third, 'SELECT cluster_cancel_switchover()');
refused($third, 'SELECT cluster_cancel_switchover()', qr/42704: .*no switchover .* is planned/s, 'nothing to cancel');
is($c->sql($third, "SELECT cluster_switchover('$second', at => now() + interval '2 seconds')"), $second, 'one that is soon');
is($c->new_leader(0, $leader), $second, 'happens');
$c->wait_ready(0);
($leader, $second) = ($second, $leader);

# The history says who took over, where and when.
ok($c->poll($third, "SELECT leader = '$leader' AND reason <> '' AND lsn > '0/0' AND at BETWEEN now() - interval '1 hour' AND now()"
		. ' FROM cluster_history() ORDER BY timeline DESC LIMIT 1'), 'the history ends with the last change');
is($c->sql($leader, q{SELECT max(timeline) + 1 = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int FROM cluster_history()}),
	't', 'and with the timeline before the present one');

refused($leader, "SELECT cluster_switchover('nobody')", qr/42704: .*no member "nobody"/s, 'no such member');
refused($leader, "SELECT cluster_switchover('$leader')", qr/55000: .*it leads already/s, 'the leader itself');

# All members know of the pause when the function returns.
$c->sql($third, 'SELECT cluster_pause()');
is($c->sql($leader, "SELECT cluster_config()->>'pause'"), 'true', 'the pause is in the configuration');
is(scalar(grep { ($_->{pause} // 0) } map { JSON::PP::decode_json($c->{store}->get($c->key(0, "members/$_"))) } $c->members(0)),
	3, 'all members say that they know');
is($c->sql($third, "SELECT ok FROM cluster_check() WHERE check_name = 'pause'"), 'f', 'cluster_check() reminds of it');

# The leader's server goes away and comes back: nobody took over.
my $epoch = $c->sql($leader, 'SELECT epoch FROM cluster_leader()');
$c->stop_node($leader);
ok($c->poll($second, "SELECT count(*) = 0 FROM cluster_leader() WHERE member IS NOT NULL"), 'there is no leader');
ok($c->poll($second, "SELECT count(*) > 0 FROM cluster_events() WHERE reason = 'the cluster is paused'"), 'a standby keeps still');
$c->start_node($leader);
is($c->new_leader(0, undef), $leader, 'the leader is back');
cmp_ok($c->sql($leader, 'SELECT epoch FROM cluster_leader()'), '>', $epoch, 'in another epoch');
$c->wait_ready(0);

# Asked for, it happens.
refused($leader, 'SELECT cluster_switchover()', qr/55000: .*is paused/s, 'a switchover to anybody');
refused($leader, "SELECT cluster_switchover('$second', at => now() + interval '1 hour')", qr/55000: .*is paused/s, 'a plan');
$c->sql($leader, "SELECT cluster_switchover('$second')");
is($c->new_leader(0, $leader), $second, 'a switchover by name happens in a pause');
$c->wait_streaming($leader);
$c->wait_streaming($third);
($leader, $second) = ($second, $leader);

# A failover, to a member of choice, while there is no leader.
$c->kill_all($leader);
ok($c->poll($second, "SELECT count(*) = 0 FROM cluster_leader() WHERE member IS NOT NULL"), 'the leader is gone');
refused($second, "SELECT cluster_switchover('$third')", qr/55000: .*no leader/s, 'a switchover without a leader');
is($c->sql($second, "SELECT cluster_failover('$third')"), $third, 'a failover goes to whom it names');
is($c->new_leader(0, $leader), $third, 'who leads');
$c->wait_streaming($second);

$c->sql($second, 'SELECT cluster_resume()');
is($c->sql($second, "SELECT cluster_config() ? 'pause'"), 'f', 'the pause is over');
$c->start_node($leader);
$c->wait_streaming($leader);
$c->kill_postmaster($third);
isnt($c->new_leader(0, $third), $third, 'a leader that dies is replaced again');

$c->stop;
done_testing();
