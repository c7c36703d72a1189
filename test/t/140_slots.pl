# Each member has a replication slot on all that it may come to stream from,
# so that a failover finds the WAL in place that it still needs.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(
	groups => { 0 => 3 },
	dcs => { member_slots_ttl => 1, slots => { backup => { type => 'physical' } } },
	settings => { wal_keep_size => 0, max_wal_size => '32MB', min_wal_size => '32MB' });
$c->start;
$c->sql(0, 'CREATE TABLE t (i int)');

sub slots
{
	my ($where, $condition) = @_;

	return "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots WHERE $condition";
}

# The names of members with their slots' as SQL has them.
sub names
{
	return join ' ', sort map { lc } @_;
}

my $leader = $c->wait_ready(0);
my @standbys = grep { $_ ne $leader } $c->members(0);

ok($c->poll($leader, slots($leader, "active AND slot_name <> 'backup'"), names(@standbys)),
	'the leader has a slot for each standby, which streams through it');
foreach my $name (@standbys)
{
	ok($c->poll($name, slots($name, 'true'), names('backup', grep { $_ ne $name } $c->members(0))),
		"$name has slots for all others, and the permanent one");
	is($c->sql($name, 'SHOW primary_slot_name'), lc $name, 'and uses its own');
}

is($c->sql($leader, "SELECT detail FROM cluster_check() WHERE check_name = 'replication slots' AND ok"),
	'3 of 20 are needed', 'cluster_check() looks after their number');

# What people made is theirs.
$c->sql($leader, "SELECT pg_create_physical_replication_slot('mine', true)");
$c->sql($leader, "SELECT pg_drop_replication_slot('backup')");
ok($c->poll($leader, slots($leader, "slot_name = 'backup'"), 'backup'), 'a permanent slot comes back');

# Enough WAL that what is not kept for somebody goes.
sub write_wal
{
	my ($where) = @_;

	$c->sql($where, "INSERT INTO t SELECT 1; SELECT pg_switch_wal(); CHECKPOINT") foreach 1 .. 6;
	return;
}

sub restart_point
{
	my ($name) = @_;

	$c->poll($name, sprintf("SELECT pg_last_wal_replay_lsn() >= '%s'",
		$c->sql(0, 'SELECT pg_current_wal_lsn()')));
	$c->sql($name, 'CHECKPOINT');
	return;
}

my ($away, $next) = @standbys;

{
	my $lsn = $c->sql($away, 'SELECT pg_last_wal_replay_lsn()');
	my $segment = $c->sql($leader, "SELECT pg_walfile_name('$lsn')");
	$c->{store}->put($c->key(0, 'config'), '{"ttl": 5, "slots": {"backup": {"type": "physical"}}}');
	$c->stop_node($away);
	foreach (1 .. 2)
	{
		write_wal($leader);
		restart_point($next);
	}
	ok(-e $c->node($next)->{data} . "/pg_wal/$segment", 'a standby keeps the WAL that another one needs');

	is($c->sql($leader, slots($leader, "slot_name = 'mine'")), 'mine', 'a slot that somebody made stays');

	$c->kill_all($leader);
	is($c->new_leader(0, $leader), $next, 'the other standby takes over');
	write_wal($next);
	my $offset = -s $c->node($away)->{log};
	$c->start_node($away);
	$c->wait_streaming($away);
	unlike(substr(PgCluster::read_file($c->node($away)->{log}), $offset), qr/has already been removed|cloning/,
		'and the one that was away finds all it needs');
	$c->start_node($leader);
	$c->wait_streaming($leader);
}

# Members that have gone for good keep nothing for ever.
$c->{store}->put($c->key(0, 'config'), '{"ttl": 5, "member_slots_ttl": 1, "slots": {}}');
ok($c->poll($next, slots($next, 'true'), names($away, $leader)), 'a slot that is not configured any more goes');
$c->stop_node($away);
ok($c->poll($next, slots($next, 'true'), lc $leader), 'so does that of a member that has gone');

# Something else bears the name of its slot: it streams without one, for as long.
$c->sql($next, sprintf("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", lc $away));
$c->start_node($away);
ok($c->poll($next, "SELECT count(*) FROM pg_stat_replication WHERE application_name = '$away' AND state = 'streaming'", '1'),
	'a standby whose slot cannot be made streams without');
is($c->sql($away, 'SHOW primary_slot_name'), '', 'it asks for none');
$c->sql($next, sprintf("SELECT pg_drop_replication_slot('%s')", lc $away));
ok($c->poll($away, 'SHOW primary_slot_name', lc $away), 'but for its own when it is there');
$c->{store}->put($c->key(0, 'config'), '{"ttl": 5, "postgresql": {"use_slots": false}}');
ok($c->poll($away, 'SHOW primary_slot_name', ''), 'use_slots can be switched off');

# A slot that outgrew max_slot_wal_keep_size is of no use.
{
	$c->{store}->put($c->key(0, 'config'), '{"ttl": 5}');
	$c->wait_streaming($away);
	$c->poll($next, "SELECT active FROM pg_replication_slots WHERE slot_name = '$away'");
	$c->sql($next, "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'");
	$c->sql($next, 'SELECT pg_reload_conf()');
	$c->stop_node($away);
	write_wal($next);
	ok($c->poll($next, slots($next, 'true'), lc $leader), 'a slot that lost its WAL is dropped');
}

$c->stop;
done_testing();
