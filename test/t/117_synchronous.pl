# The synchronous modes: who is synchronous follows the settings and what
# happens to the standbys, only members that have every acknowledged commit
# lead, and a wait that is broken off acknowledges nothing.
use strict;
use warnings;

use PgCluster;
use Test::More;
use Time::HiRes qw(time);

# What the server waits for in the end is a setting of the user's own.
my $c = PgCluster->new(
	groups => { 0 => 3 },
	sync => 'on',
	dcs => { ttl => 3 },
	settings => { synchronous_standby_names => 'ANY 1 (*)' });
$c->start;

sub standbys { my ($leader) = @_; return grep { $_ ne $leader } $c->members(0); }

sub configure
{
	my ($json) = @_;

	$c->sql(0, "SELECT cluster_set_config('$json')");
	return;
}

# Waits until exactly these members are synchronous, for the store and for the server.
sub becomes
{
	my ($what, $state, $leader, @names) = @_;
	my $list = join ',', sort @names;
	my $ok = PgCluster::wait_until(sub { join(',', $c->synchronous(0, $leader)) eq $list });

	is(join(',', $c->synchronous(0, $leader)), $list, "$what: the key lists them");
	ok( $c->poll(
			$leader,
			"SELECT coalesce(string_agg(application_name, ',' ORDER BY application_name), '') FROM pg_stat_replication WHERE sync_state = '$state'",
			$list),
		"$what: commits wait for them") or diag($c->sql($leader, 'SHOW synchronous_standby_names'));
	return;
}

my $leader = $c->wait_ready(0);
my ($synced) = $c->synchronous(0, $leader);
my ($other) = grep { $_ ne $synced } standbys($leader);

# On: one standby, which only may lead.
becomes('on', 'sync', $leader, $synced);
is($c->sql($leader, "SELECT string_agg(role, ',' ORDER BY role) FROM cluster_status()"),
	'leader,replica,sync_standby', 'cluster_status() shows it');
my $error;
# A standby that has just come may lag as well.
PgCluster::wait_until(
	sub { (undef, undef, $error) = $c->try_sql($leader, "SELECT cluster_switchover('$other')"); $error !~ /lags/ });
like($error, qr/"$other" cannot take over: it is not a synchronous standby/, 'a switchover to the other is refused');
$c->{store}->put($c->key(0, 'failover'), qq({"leader":"$leader","member":"$other"}));
ok($c->poll($leader, "SELECT count(*) > 0 FROM cluster_events() WHERE reason LIKE '%is not synchronous'"),
	'also when the key asks for it');

# It dies, and the other takes its place.
my $writer = $c->writer(0);
PgCluster::wait_until(sub { $writer->acknowledged > 20 });
my $start = time();
$c->kill_all($synced);
becomes('the synchronous standby dies', 'sync', $leader, $other);
my $count = $writer->acknowledged;
ok(PgCluster::wait_until(sub { $writer->acknowledged > $count + 20 }), 'the writer goes on');
my $gap = PgCluster::Writer::longest_gap($start, $writer->acknowledged);
cmp_ok($gap, '<', 4, sprintf('it waited %.2f s', $gap));
$c->start_node($synced);
$c->wait_streaming($synced);
is(join(',', $c->synchronous(0, $leader)), $other, 'who comes back changes nothing');

# The leader dies: the synchronous standby leads, whatever the other has.
$c->kill_all($leader);
is($c->new_leader(0, $leader), $other, 'the synchronous standby leads');
$c->start_node($leader);
($synced, $other, $leader) = ('', $leader, $other);
$c->wait_ready(0);
($synced) = $c->synchronous(0, $leader);
($other) = grep { $_ ne $synced } standbys($leader);
is(scalar $c->lost_rows(0, $writer, $writer->stop), 0, 'no acknowledged row is missing');

# Both die: who is left waits for one of them, and has the reason.
$c->kill_all($_) foreach $leader, $synced;
ok($c->poll($other, "SELECT count(*) > 0 FROM cluster_events() WHERE reason = 'this member may lack acknowledged commits'"),
	'who is not synchronous does not lead');
is($c->leader(0), undef, 'and nobody does');
$c->start_node($synced);
is($c->new_leader(0, $leader), $synced, 'the synchronous standby leads when it is back');
$c->start_node($leader);
$leader = $c->wait_ready(0);

# Two, and then any of two.
configure('{"synchronous_node_count": 2}');
becomes('two', 'sync', $leader, standbys($leader));
configure('{"synchronous_node_count": 1, "synchronous_mode": "quorum"}');
becomes('quorum', 'quorum', $leader, standbys($leader));
is($c->sql($leader, "SELECT string_agg(role, ',' ORDER BY role) FROM cluster_status()"),
	'leader,quorum_standby,quorum_standby', 'cluster_status() shows them');
ok(PgCluster::wait_until(sub { $c->{store}->get($c->key(0, 'sync')) =~ /"quorum":1/ }), 'one vote is needed');

# The standbys come and go under a writer, and the leaders too.
$writer = $c->writer(0);
foreach my $round (1 .. 3)
{
	my @victims = sort { rand() <=> 0.5 } $c->members(0);
	PgCluster::wait_until(sub { $writer->acknowledged > 10 * $round });
	$c->kill_postmaster($victims[0]);
	PgCluster::wait_until(sub { defined $c->exit_status($victims[0]) }, 2);
	$c->start_node($victims[0]) if defined $c->exit_status($victims[0]);
	configure($round % 2 ? '{"synchronous_mode": "on"}' : '{"synchronous_mode": "quorum"}') if $c->leader(0);
}
$c->{sync} = 'on';
$leader = $c->wait_ready(0);
is(scalar $c->lost_rows(0, $writer, $writer->stop), 0, 'no acknowledged row is missing after three crashes and changes');
configure('{"synchronous_mode": "quorum", "synchronous_mode_strict": true}');
becomes('quorum again', 'quorum', $leader, standbys($leader));

# Strict: without a standby commits wait, and waiting may be broken off.
$c->sql($leader, 'CREATE TABLE t (i int)');
$c->stop_node($_) foreach standbys($leader);
foreach my $how (
	[ 'a commit', 'INSERT INTO t VALUES (1)' ],
	[ 'a PREPARE TRANSACTION', "BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'p'" ],
	[ 'a COMMIT PREPARED', "COMMIT PREPARED 'p'" ])
{
	my $out = "$c->{dir}/waits.out";
	my $pid = $c->spawn($out, "$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo($leader),
		map { ('-c', $_) } split(/;\s*/, $how->[1]), "SELECT 'acknowledged'");
	ok($c->poll($leader, "SELECT count(pg_cancel_backend(pid)) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
		"$how->[0] waits without a standby");
	waitpid($pid, 0);
	my $err = PgCluster::read_file($out);
	unlink $out;
	unlike($err, qr/acknowledged/, 'and is not acknowledged when it is cancelled');
	like($err, qr/closed the connection|connection.*lost/i, 'but the connection is closed');
}
is($c->sql($leader, 'SELECT count(*) FROM t'), '2', 'reads go on');

# What a crash-restart brings to light is not shown before a standby has it.
my ($backend) = $c->sql($leader, 'SELECT pg_postmaster_start_time(); SELECT pid FROM pg_stat_activity WHERE backend_type = $$walwriter$$') =~ /(\d+)$/;
kill 'KILL', $backend;
ok($c->poll($leader, 'SELECT NOT pg_is_in_recovery()'), 'after a crash-restart, sessions can look at the cluster');
my (undef, undef, $refusal) = $c->try_sql($leader, "SET pgcluster.fence_wait = '300ms'; SELECT count(*) FROM t");
like($refusal, qr/cannot show tables yet/, 'but not at tables');
$c->start_node($_) foreach standbys($leader);
becomes('the standbys are back', 'quorum', $leader, standbys($leader));
is($c->sql($leader, 'SELECT count(*) FROM t'), '2', 'tables are shown again');
is($c->sql($leader, 'INSERT INTO t VALUES (3) RETURNING i'), '3', 'commits go on');

# Not strict: then only the leader may lead, and commits do not wait.
configure('{"synchronous_mode_strict": false}');
$c->stop_node($_) foreach standbys($leader);
is($c->sql($leader, 'INSERT INTO t VALUES (4) RETURNING i'), '4', 'when not strict, a commit goes on without standbys');
is(join(',', $c->synchronous(0, $leader)), '', 'with nobody in the key');
$c->start_node($_) foreach standbys($leader);
becomes('the standbys are back again', 'quorum', $leader, standbys($leader));

# Off: what the user set is in force again.
configure('{"synchronous_mode": "off"}');
ok(PgCluster::wait_until(sub { !defined $c->{store}->get($c->key(0, 'sync')) }), 'without the mode there is no key');
ok($c->poll($leader, 'SHOW synchronous_standby_names', 'ANY 1 (*)'), "and the setting is the user's own");

$c->stop;
done_testing();
