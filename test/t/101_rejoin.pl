# A leader that comes back with rows that nobody else has is rewound, or cloned
# anew where that is impossible.
use strict;
use warnings;

use PgCluster;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

my $c = PgCluster->new(groups => { 0 => 2 });
$c->start;
$c->sql(0, 'CREATE TABLE t (i int)');

# Makes the leader diverge: its walsender is stopped, so that the standby gets
# nothing of what it writes last, and takes over when it is dead.  Returns (old
# leader, new leader).
sub diverge
{
	my ($what, $writes) = @_;
	my $old = $c->wait_ready(0);

	my ($standby) = grep { $_ ne $old } $c->members(0);
	kill 'STOP', $c->sql($old, "SELECT pid FROM pg_stat_replication WHERE application_name = '$standby'");
	$c->sql($old, $writes);
	$c->kill_all($old);
	my $new = $c->new_leader(0, $old);
	$c->sql($new, "INSERT INTO t VALUES (1)");
	return ($old, $new);
}

sub log_since
{
	my ($name, $offset) = @_;

	return substr(PgCluster::read_file($c->node($name)->{log}), $offset);
}

sub comes_back
{
	my ($what, $old, $new, $how) = @_;
	my $offset = -s $c->node($old)->{log};

	$c->start_node($old);
	$c->wait_streaming($old);
	pass("$what: the old leader streams again");
	like(log_since($old, $offset), $how, "$what: in the expected way");
	my $lsn = $c->sql($new, 'SELECT pg_current_wal_lsn()');
	$c->poll($old, "SELECT pg_last_wal_replay_lsn() >= '$lsn'");
	is($c->sql($old, 'SELECT count(*) FROM t WHERE i < 0'), '0', "$what: its own rows are gone");
	is($c->sql($old, 'SELECT count(*) FROM t'), $c->sql($new, 'SELECT count(*) FROM t'),
		"$what: it has the rows of the leader");
	is($c->sql($old, 'SHOW port'), $c->node($old)->{port}, "$what: it kept its own settings");
	ok(!-e $c->node($old)->{data} . '/pgcluster.rejoin', "$what: nothing is left of it");
	return;
}

{
	my ($old, $new) = diverge('rewind', 'INSERT INTO t SELECT -i FROM generate_series(1, 1000) i');
	comes_back('rewind', $old, $new, qr/the rewind is complete/);
}

# It asked the new leader for WAL, and so for its history, and went down again
# before it was rewound.
{
	my ($old, $new) = diverge('foreign history', 'INSERT INTO t VALUES (-5); CHECKPOINT');
	my $newest = (sort glob $c->node($new)->{data} . '/pg_wal/*.history')[-1];
	$c->run('cp', $newest, $c->node($old)->{data} . '/pg_wal/');
	comes_back('foreign history', $old, $new, qr/the rewind is complete/);
}

# Without the WAL since the fork pg_rewind cannot do it.
{
	my ($old, $new) = diverge('failing rewind',
		join ';', ('INSERT INTO t SELECT -i FROM generate_series(1, 1000) i', 'SELECT pg_switch_wal()') x 3,
		'CHECKPOINT', 'INSERT INTO t VALUES (-1)');
	my $wal = $c->node($old)->{data} . '/pg_wal';
	my ($redo) = $c->run("$c->{bindir}/pg_controldata", $c->node($old)->{data}) =~ /REDO WAL file:\s+(\w+)/;
	unlink grep { m{/([0-9A-F]{24})$} && $1 lt $redo } glob "$wal/*";
	comes_back('failing rewind', $old, $new, qr/pg_rewind.*error.*the clone is complete/s);
}

# A rewind that was interrupted leaves data that are good for nothing.
{
	my ($old, $new) = diverge('interrupted rewind', 'INSERT INTO t VALUES (-2)');
	system('mkfifo', $c->node($old)->{data} . '/pgcluster.rewinding');
	my ($status, undef, $err) = $c->try_run("$c->{bindir}/postgres", '-D', $c->node($old)->{data});
	isnt($status, 0, 'a server does not start on half rewound data');
	like($err, qr/was left half rewound/, 'and says why');
	comes_back('interrupted rewind', $old, $new, qr/an earlier rewind was interrupted.*the clone is complete/s);
}

# Killed at any moment, a clone leaves nothing that would start, or is whole.
{
	my $dir = "$c->{dir}/killed";
	my $leader = $c->node($c->wait_ready(0));
	my @clone = ("$c->{bindir}/pgcluster_node", 'clone', '-D', $dir, '--source',
		"host=127.0.0.1 port=$leader->{port} user=replicator dbname=postgres passfile=$c->{passfile}");
	my $delay = 0.01;
	my ($kills, $bad) = (0, 0);

	until (-e "$dir/PG_VERSION")
	{
		my $pid = $c->spawn("$dir.log", @clone);
		sleep($delay *= 1.3);
		$kills++ if kill('KILL', $pid) && !waitpid($pid, POSIX::WNOHANG());
		waitpid($pid, 0);
		$bad++ if -e "$dir/PG_VERSION" && !-e "$dir/global/pg_control";
	}
	is($bad, 0, "none of $kills clones that were killed looks like data");
	my ($status, undef, $err) = $c->try_run(@clone);
	like($err, qr/is not empty/, 'the last one is');
	ok(!-e "$dir/pgcluster.new", 'whole');
}

# A server that runs without pgcluster_node: the agent calls it when needed.
{
	my ($old, $new) = diverge('unsupervised', 'INSERT INTO t VALUES (-3)');
	my $node = $c->node($old);
	my $start = sub {
		$c->run("$c->{bindir}/pg_ctl", 'start', '-D', $node->{data}, '-l', "$node->{log}.ctl", '-W');
	};
	PgCluster::write_file("$node->{data}/standby.signal", '');
	$start->();
	$c->wait_streaming($old);
	like(PgCluster::read_file("$node->{log}.ctl"), qr/the rewind is complete/,
		'the agent has an unsupervised server rewound');
	is($c->sql($old, 'SELECT count(*) FROM t WHERE i < 0'), '0', 'its own rows are gone');
	$c->run("$c->{bindir}/pg_ctl", 'stop', '-D', $node->{data}, '-m', 'fast');
}

$c->stop;
done_testing();
