# A leader that cannot prove its lease does not commit, whatever is the matter
# with its agent or with etcd.
use strict;
use warnings;

use IPC::Open3;
use PgCluster;
use Test::More;
use Time::HiRes qw(time);

my $c = PgCluster->new(groups => { 0 => 2 });
$c->start;
$c->sql(0, 'CREATE TABLE t (i int)');
my $old = $c->leader(0);

# A session that was there before the trouble.
my ($in, $out);
my $session = open3($in, $out, undef, "$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo($old));

sub ask
{
	my ($sql) = @_;
	my $answer = '';

	print $in "$sql\n\\echo :SQLSTATE end\n";
	$in->flush;
	while (defined(my $line = <$out>))
	{
		return $answer . $1 if $line =~ /^(\w+) end$/;
		$answer .= $line;
	}
	return $answer . 'closed';
}
is(ask('INSERT INTO t VALUES (1);'), '00000', 'the leader takes writes');
my $backend = ask('SELECT pg_backend_pid();');

# etcd is gone: commits wait, reads go on, and nobody loses the session.
{
	$c->{store}->stop('KILL');
	my $ttl = 5;
	ok(PgCluster::wait_until(
			sub { $c->sql($old, 'SELECT fenced FROM cluster_lease()') eq 't' }, 3 * $ttl),
		'without etcd the fence closes');
	is(ask('SET pgcluster.fence_wait = 200; INSERT INTO t VALUES (2);') =~ /25006$/, 1,
		'a commit is refused with 25006 when it has waited long enough');
	is(ask('SELECT count(*) FROM t;'), "1\n00000", 'reads go on');
	my $new_session = $c->sql($old, 'SHOW transaction_read_only');
	is($new_session, 'on', 'new sessions are read-only');

	# One commit waits at the fence while etcd comes back.
	print $in "SET pgcluster.fence_wait = '60s';\nINSERT INTO t VALUES (3);\n\\echo :SQLSTATE end\n";
	$in->flush;
	$c->{store}->start;
	my $line = <$out>;
	is($line, "00000 end\n", 'a commit that waits goes through when etcd is back');
	is(ask('SELECT pg_backend_pid();'), $backend, 'in the same session');
	is($c->leader(0), $old, 'and the leader is the same');
	is(ask('SELECT string_agg(i::text, $$,$$ ORDER BY i) FROM t;'), "1,3\n00000", 'the refused row is not there');
}

# The agent is stopped past its lease: another one leads, this one cannot commit.
{
	my $writer = $c->writer(0);
	PgCluster::wait_until(sub { $writer->acknowledged > 20 });
	my $probe = PgCluster::Writer->start(
		program => "$c->{bindir}/psql",
		conninfo => $c->conninfo($old),
		record => "$c->{dir}/probe",
		patient => 1,
		table => $writer->{table});
	my $agent = $c->agent_pid($old);

	PgCluster::wait_until(sub { $probe->acknowledged > 5 });
	kill 'STOP', $agent;
	my $new = $c->new_leader(0, $old);
	my $took_over = time();
	like(ask('SET pgcluster.fence_wait = 200; INSERT INTO t VALUES (4);'), qr/(25006|closed)$/,
		'a leader whose agent is stopped cannot commit');
	ok(PgCluster::wait_until(sub { grep { $_->{at} > $took_over } $writer->acknowledged }),
		'the writer finds the new leader');
	kill 'CONT', $agent;
	$c->wait_streaming($old);
	pass('the old leader follows when its agent goes on');

	my @probed = $probe->stop;
	my @rows = $writer->stop;
	is(scalar(grep { $_->{at} > $took_over && $_->{port} == $c->node($old)->{port} } @rows, @probed), 0,
		'nothing was acknowledged by the old leader after another one led');
	is($c->sql(0, 'SELECT count(*) FROM t WHERE i = 4'), '0', 'the refused row is nowhere');
}

close $in;
waitpid($session, 0);
$c->stop;
done_testing();
