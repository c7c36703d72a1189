# The agent may die in any way and at any time: the server and its data stay
# intact, and there is a leader again.
use strict;
use warnings;

use PgCluster;
use Test::More;
use Time::HiRes qw(sleep);

my $kills = $ENV{PGCLUSTER_AGENT_KILLS} || 100;
my $c = PgCluster->new(
	groups => { 0 => 2 },
	sync => 'quorum',
	settings => { log_checkpoints => 'off' });
$c->start;
my $writer = $c->writer(0);

my ($done, $stuck) = (0, 0);
while ($done < $kills)
{
	my $leader;
	my $agent;

	# Any member's agent, the leader's mostly.
	last unless PgCluster::wait_until(
		sub {
			$leader = $c->leader(0);
			$agent = defined $leader ? $c->agent_pid($leader) : undef;
			defined $agent;
		});
	kill $done % 2 ? 'SEGV' : 'KILL', $agent;
	$done++;
	PgCluster::wait_until(sub { !-d "/proc/$agent" });
}
is($done, $kills, "the agent was killed $kills times");
$c->wait_ready(0);
pass('then there is a leader, and the other member streams');

my $count = $writer->acknowledged;
ok(PgCluster::wait_until(sub { $writer->acknowledged > $count + 20 }), 'the writer goes on');
my @rows = $writer->stop;
is(scalar $c->lost_rows(0, $writer, @rows), 0, 'no acknowledged row of ' . @rows . ' is missing');

$c->sql(0, 'CREATE EXTENSION IF NOT EXISTS amcheck');
is($c->sql(0, "SELECT count(bt_index_check(c.oid, true)) > 0 FROM pg_class c JOIN pg_am a ON a.oid = relam
	WHERE amname = 'btree' AND relkind = 'i' AND relpersistence = 'p'"), 't', 'the indexes are sound');
$c->stop;
foreach my $name ($c->node_names)
{
	my ($status) = $c->try_run("$c->{bindir}/pg_checksums", '--check', '-D', $c->node($name)->{data});
	is($status, 0, "the pages of $name are sound");
}
done_testing();
