# A cluster that follows another one: its leader streams from that, its other
# members from its leader; it fails over by itself, and leads when it is told to.
use strict;
use warnings;

use File::Copy qw(copy);
use HTTP::Tiny;
use JSON::PP;
use PgCluster;
use Test::More;

my $main = PgCluster->new(groups => { 0 => 1 }, dcs => { slots => { other => { type => 'physical' } } });
$main->start;
my $primary = $main->wait_ready(0);
$main->sql(0, 'CREATE TABLE t (i int); INSERT INTO t VALUES (1)');

# The same roles and passwords.
my $c = PgCluster->new(groups => { 0 => 2 });
my $follow = { host => '127.0.0.1', port => $main->node($primary)->{port}, primary_slot_name => 'other' };
$c->{passfile} = "$c->{dir}/passfile";
copy($main->{passfile}, $c->{passfile});
chmod 0600, $c->{passfile};
my %http = map { $_ => PgCluster::free_port() } $c->node_names;
$c->node($_)->{settings} = { 'pgcluster.http_port' => $http{$_} } foreach $c->node_names;
$c->{store}->start;
sub configure { return $c->{store}->put($c->key(0, 'config'), JSON::PP->new->canonical->encode({ ttl => 5, @_ })); }
configure(standby_cluster => $follow);
$c->start_node($_) foreach $c->node_names;

sub standby_leader
{
	my ($former) = @_;
	my $leader;

	PgCluster::wait_until(sub {
			$leader = $c->leader(0);
			return unless defined $leader && $leader ne ($former // '');
			my ($status, $out) = $c->try_sql($leader, "SELECT role FROM cluster_status() WHERE member = '$leader'");
			return $out eq "standby_leader\n"; })
	  or BAIL_OUT("there is no standby leader:\n" . $c->tails);
	return $leader;
}

sub streams_from
{
	my ($cluster, $name, $expected) = @_;

	return $cluster->poll($name, "SELECT string_agg(application_name, ' ') FROM pg_stat_replication WHERE state = 'streaming'", $expected);
}

my $leader = standby_leader();
my ($other) = grep { $_ ne $leader } $c->members(0);
like(PgCluster::read_file($c->node($leader)->{log}), qr/the clone is complete/, 'the first member is a clone, too');
unlike(PgCluster::read_file($c->node($leader)->{log}), qr/initialising group/, 'and not made by initdb');
ok(streams_from($main, $primary, $leader), 'the leader streams from the other cluster, and nobody else does');
is($main->sql(0, "SELECT active FROM pg_replication_slots WHERE slot_name = 'other'"), 't', 'through its slot');
ok(streams_from($c, $leader, $other), 'the others stream from the leader');
$main->sql(0, 'INSERT INTO t VALUES (2)');
ok($c->poll($other, 'SELECT count(*) FROM t', '2'), 'and get all');
my ($status, undef, $err) = $c->try_sql($leader, 'INSERT INTO t VALUES (3)');
like($err, qr/read-only transaction/, 'nobody writes here');
like($c->{store}->get($c->key(0, "members/$leader")), qr/"role":"standby_leader"/, 'its key says what it is');

# What load balancers are told.
sub status { return HTTP::Tiny->new(timeout => 5)->get("http://127.0.0.1:$http{$_[0]}$_[1]")->{status}; }

my @checks = (
	[ '/standby-leader', 200, 503 ],
	[ '/standby_leader', 200, 503 ],
	[ '/leader', 200, 503 ],
	[ '/primary', 503, 503 ],
	[ '/read-write', 503, 503 ],
	[ '/replica', 503, 200 ],
	[ '/read-only', 200, 200 ],
	[ '/readiness', 200, 200 ],
	[ '/health', 200, 200 ]);
foreach my $check (@checks)
{
	my ($path, $of_leader, $of_other) = @$check;

	ok(PgCluster::wait_until(sub { status($leader, $path) == $of_leader }), "$path of the leader is $of_leader");
	ok(PgCluster::wait_until(sub { status($other, $path) == $of_other }), "$path of the other is $of_other");
}

is($c->sql($leader, "SELECT string_agg(check_name, ', ') FROM cluster_check() WHERE NOT ok AND check_name <> 'fsync'"), '',
	'cluster_check() finds nothing amiss');

# By hand, and by force.
ok($c->poll($leader, "SELECT state FROM cluster_status() WHERE member = '$other'", 'streaming'), 'the other streams');
$c->sql($leader, 'SELECT cluster_switchover()');
is(standby_leader($leader), $other, 'switchover: the other member leads');
ok(streams_from($main, $primary, $other), 'switchover: and streams');
ok(streams_from($c, $other, $leader), 'switchover: the old leader streams from it');
$c->kill_all($other);
is(standby_leader($other), $leader, 'kill: another member leads');
ok(streams_from($main, $primary, $leader), 'kill: and streams');
$c->start_node($other);
ok(streams_from($c, $leader, $other), 'kill: the old leader comes back');
is($c->sql($leader, 'SELECT received_tli FROM pg_stat_wal_receiver'),
	$main->sql(0, 'SELECT timeline_id FROM pg_control_checkpoint()'), 'nobody was promoted for it');

# The two change places: first nobody leads, then the other one.
$main->{store}->put($main->key(0, 'config'), JSON::PP->new->encode(
		{ ttl => 5, standby_cluster => { host => '127.0.0.1', port => $c->node($leader)->{port} },
			slots => { other => { type => 'physical' } } }));
ok($main->poll($primary, "SELECT role FROM cluster_status()", 'standby_leader'), 'a leader becomes a standby leader');
my $lsn = $main->sql($primary, 'SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())');
ok($c->poll($leader, "SELECT pg_last_wal_replay_lsn() >= '$lsn'"), 'and passes on what it wrote');
configure();
is($c->new_leader(0, undef), $leader, 'without the section the other leader is promoted');
$c->sql(0, 'INSERT INTO t VALUES (3)');
ok($c->poll($other, 'SELECT count(*) FROM t', '3'), 'its members follow it');
ok($main->poll($primary, 'SELECT count(*) FROM t', '3'), 'and so does the other cluster');
$c->stop;
$main->stop;
done_testing();
