# A member streams from the one that its tag replicatefrom names, when it can,
# and is cloned from the one with the tag clonefrom.  One whose WAL nobody has
# any more is cloned anew.
use strict;
use warnings;

use File::Path qw(remove_tree);
use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 3 }, settings => { wal_keep_size => 0, max_wal_size => '32MB', min_wal_size => '32MB' });
$c->start;
$c->sql(0, 'CREATE TABLE t (i int)');
my $leader = $c->wait_ready(0);
my ($middle, $last) = grep { $_ ne $leader } $c->members(0);

sub tag
{
	my ($name, $tags) = @_;

	$c->sql($name, "ALTER SYSTEM SET pgcluster.tags = '$tags'");
	$c->sql($name, 'SELECT pg_reload_conf()');
	return;
}

# Who streams from a server, without those that copy it.
sub streams_from
{
	my ($name, $expected) = @_;

	return $c->poll($name,
		"SELECT string_agg(application_name, ' ' ORDER BY application_name) FROM pg_stat_replication WHERE state = 'streaming'",
		$expected);
}

tag($last, qq({"replicatefrom": "$middle"}));
ok(streams_from($middle, $last), 'a member streams from the one its tag names');
ok(streams_from($leader, $middle), 'and not from the leader');
is($c->sql($middle, "SELECT active FROM pg_replication_slots WHERE slot_name = '$last'"), 't', 'through its slot there');
$c->sql(0, 'INSERT INTO t VALUES (1)');
ok($c->poll($last, 'SELECT count(*) FROM t', '1'), 'and gets all');
ok($c->poll($leader, "SELECT state FROM cluster_status() WHERE member = '$last'", 'streaming'), 'its state is shown');

$c->stop_node($middle);
ok(streams_from($leader, $last), 'while that one is away it streams from the leader');
$c->start_node($middle);
ok(streams_from($middle, $last), 'and comes back to it');

tag($middle, qq({"replicatefrom": "$last"}));
ok(streams_from($leader, join ' ', sort $middle, $last), 'two that name each other stream from the leader');
tag($middle, '{"clonefrom": true}');
ok(streams_from($middle, $last), 'until they do not any more');

# A new clone, of the member that asks for it.
$c->stop_node($last);
$c->sql($leader, "SELECT pg_drop_replication_slot('$last')");
remove_tree($c->node($last)->{data});
my $offset = -s $c->node($last)->{log};
$c->start_node($last);
$c->wait_streaming($last);
like(substr(PgCluster::read_file($c->node($last)->{log}), $offset), qr/cloning a member with the tag clonefrom.*the clone is complete/s,
	'a clone is made of the member with the tag');
is($c->sql($last, 'SELECT count(*) FROM t'), '1', 'and is whole');

# WAL that was removed is asked for in vain.
$c->stop_node($last);
foreach my $name ($leader, $middle)
{
	$c->sql($name, "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'");
	$c->sql($name, 'SELECT pg_reload_conf()');
}
$c->sql($leader, 'INSERT INTO t SELECT 1; SELECT pg_switch_wal(); CHECKPOINT') foreach 1 .. 8;
$c->poll($middle, sprintf("SELECT pg_last_wal_replay_lsn() >= '%s'", $c->sql($leader, 'SELECT pg_current_wal_lsn()')));
$c->sql($middle, 'CHECKPOINT');
$offset = -s $c->node($last)->{log};
$c->start_node($last);
ok(PgCluster::wait_until(sub {
			substr(PgCluster::read_file($c->node($last)->{log}), $offset) =~ /has removed WAL that member.*the clone is complete/s }),
	'a member whose WAL has gone is cloned anew');
$c->wait_streaming($last);
ok($c->poll($last, 'SELECT count(*) FROM t', '9'), 'and streams again');

$c->stop;
done_testing();
