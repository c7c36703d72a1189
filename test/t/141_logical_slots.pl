# A permanent logical slot is carried over to standbys: its subscriber goes on
# with the next leader, and misses no row and has none twice.
use strict;
use warnings;

use JSON::PP;
use PgCluster;
use Test::More;

my %slots = (sub => { type => 'logical', database => 'postgres', plugin => 'pgoutput' });
my $c = PgCluster->new(groups => { 0 => 3 }, dcs => { slots => \%slots });
my $s = PgCluster->new(setup => 0, config => "wal_retrieve_retry_interval = '100ms'\nmax_logical_replication_workers = 4\n");
$c->start;
$s->start;

my $leader = $c->wait_ready(0);
$c->sql(0, 'CREATE TABLE t (id bigint, port int); CREATE PUBLICATION pub FOR TABLE t');
ok($c->poll($leader, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'sub' AND plugin = 'pgoutput'", '1'),
	'the leader makes the slot');

$s->sql('c', 'CREATE TABLE t (id bigint, port int)');
$s->sql('c', sprintf "CREATE SUBSCRIPTION sub CONNECTION '%s' PUBLICATION pub"
	. " WITH (create_slot = false, slot_name = sub)", $c->group_conninfo(0));

# A copy that may be used is a slot that lasts.
sub wait_carried
{
	my ($name) = @_;

	return $c->poll($name, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'sub' AND NOT temporary", '1');
}

# All that was written arrives, and nothing else.
sub agrees
{
	my ($what) = @_;
	my $rows = 'SELECT count(*), count(DISTINCT id), sum(id) FROM t';
	my $expected = $c->sql(0, $rows);

	ok($s->poll('c', $rows, $expected), "$what: the subscriber has just the rows of the leader")
	  or diag("the leader has $expected, the subscriber " . $s->sql('c', $rows));
	return;
}

foreach my $name (grep { $_ ne $leader } $c->members(0))
{
	is($c->sql($name, 'SHOW hot_standby_feedback'), 'on', "$name feeds back");
	ok(wait_carried($name), "$name carries the slot");
}

my $writer = $c->writer(0, table => 't');
PgCluster::wait_until(sub { $writer->acknowledged > 50 });

$c->sql(0, 'SELECT cluster_switchover()');
$leader = $c->new_leader(0, $leader);
PgCluster::wait_until(sub { my @rows = $writer->acknowledged; $rows[-1]{port} == $c->node($leader)->{port} });
ok($s->poll('c', sprintf('SELECT count(*) > 0 FROM t WHERE port = %d', $c->node($leader)->{port})),
	'switchover: the subscriber gets rows of the new leader');
ok(wait_carried($_), "switchover: $_ carries the slot") foreach grep { $_ ne $leader } $c->members(0);

my $old = $leader;
$c->kill_all($old);
$leader = $c->new_leader(0, $old);
ok($s->poll('c', sprintf('SELECT count(*) > 0 FROM t WHERE port = %d', $c->node($leader)->{port})),
	'kill: the subscriber gets rows of the new leader');
$writer->stop;
agrees('after switchover and kill');

# The subscriber gets nothing that a standby which streams has not.
$c->start_node($old);
$c->wait_ready(0);
{
	my @receivers = map { $c->sql($_, 'SELECT pid FROM pg_stat_wal_receiver') } grep { $_ ne $leader } $c->members(0);
	ok(PgCluster::wait_until(sub { $c->sql($leader, 'SELECT count(*) FROM pg_replication_slots WHERE active') == 3 }),
		'everybody streams');
	kill 'STOP', @receivers;
	$c->sql($leader, 'SET synchronous_commit = local; INSERT INTO t VALUES (-1, 0)');
	my $sent = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND backend_type = 'walsender'";
	ok($c->poll($leader, $sent, '1'), 'its walsender waits for the standbys');
	is($s->sql('c', 'SELECT count(*) FROM t WHERE id = -1'), '0', 'the subscriber has not got the row');
	kill 'CONT', @receivers;
	ok($s->poll('c', 'SELECT count(*) FROM t WHERE id = -1', '1'), 'until the standbys have it');
}

# A standby that has no good copy has none to lead with, and the slot is not
# made anew behind the subscriber's back.
{
	my @standbys = grep { $_ ne $leader } $c->members(0);
	ok(wait_carried($_), "$_ carries the slot") foreach @standbys;
	my @workers = map {
		$c->sql($_, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgcluster logical slots'")
	} @standbys;
	kill 'STOP', @workers;
	$slots{late} = { %{ $slots{sub} } };
	$c->{store}->put($c->key(0, 'config'), JSON::PP->new->encode({ ttl => 5, slots => \%slots }));
	ok(PgCluster::wait_until(sub { $c->{store}->get($c->key(0, 'status')) =~ /"late"/ }), 'a slot is new');
	$c->kill_all($leader);
	my $next = $c->new_leader(0, $leader);
	kill 'CONT', @workers;
	ok($c->poll($next, "SELECT active FROM pg_replication_slots WHERE slot_name = 'sub'"), 'the old slot is used again');
	ok(PgCluster::wait_until(sub { PgCluster::read_file($c->node($next)->{log}) =~ /"late" is lost/ }),
		'the next leader tells that it has no good copy of the new one');
	is($c->sql($next, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'late'"), '0', 'and has none at all');
	$c->sql($next, 'INSERT INTO t VALUES (-2, 0)');
	agrees('in the end');
}

$c->stop;
$s->stop;
done_testing();
