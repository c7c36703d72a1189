# HAProxy, set up as the documentation says, sends writes to the leader and
# reads to replicas, also after another member has taken over.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use PgCluster;
use Test::More;

my ($haproxy) = grep { -x } map { "$_/haproxy" } split /:/, $ENV{PATH} . ':/usr/sbin';
plan skip_all => 'there is no haproxy' unless $haproxy;

my $c = PgCluster->new(groups => { 0 => 3 }, dcs => { loop_wait => 1 });
my %http = map { $_ => PgCluster::free_port() } $c->members(0);
$c->node($_)->{settings} = { 'pgcluster.http_port' => $http{$_} } foreach $c->members(0);
$c->start;

my ($writes, $reads) = (PgCluster::free_port(), PgCluster::free_port());
my ($config) = PgCluster::read_file(dirname(abs_path($0)) . '/../../doc/http.md') =~ /^```haproxy\n(.*?)^```/ms;
ok($config, 'the documentation has a configuration');
$config =~ s/\*:5000/127.0.0.1:$writes/;
$config =~ s/\*:5001/127.0.0.1:$reads/;
my %member = (a => 'c1', b => 'c2', c => 'c3');
$config =~ s{server (\w) \S+ check port 8008}{server $1 127.0.0.1:@{[ $c->node($member{$1})->{port} ]} check port $http{$member{$1}}}g;
PgCluster::write_file("$c->{dir}/haproxy.cfg", $config);
my $pid = $c->spawn("$c->{dir}/haproxy.log", $haproxy, '-db', '-f', "$c->{dir}/haproxy.cfg");

END
{
	if (defined $pid)
	{
		my $status = $?;
		kill 'KILL', $pid;
		waitpid($pid, 0);
		$? = $status;
	}
}

# The port of the server that answers there.
sub reached
{
	my ($port) = @_;
	my (undef, $out) = $c->try_run("$c->{bindir}/psql", '-XAtqc', q(SELECT current_setting('port')), '-d',
		"host=127.0.0.1 port=$port user=postgres dbname=postgres passfile=$c->{passfile} connect_timeout=2");

	chomp $out;
	return $out;
}

sub goes_to
{
	my ($port, $what, @names) = @_;
	my %expected = map { $c->node($_)->{port} => 1 } @names;

	ok(PgCluster::wait_until(sub { $expected{ reached($port) } }), $what) or diag(PgCluster::tail("$c->{dir}/haproxy.log"));
	return;
}

my $leader = $c->leader(0);
goes_to($writes, 'writes go to the leader', $leader);
goes_to($reads, 'reads go to a replica', grep { $_ ne $leader } $c->members(0));
# Until the first checks are done, all servers count as good.
my @replicas = sort map { $c->node($_)->{port} } grep { $_ ne $leader } $c->members(0);
ok(PgCluster::wait_until(sub { my %seen = map { reached($reads) => 1 } 1 .. 4; return "@{[ sort keys %seen ]}" eq "@replicas" }),
	'... to one after the other');

$c->kill_postmaster($leader);
my $new = $c->new_leader(0, $leader);
goes_to($writes, 'writes go to the new leader', $new);
$c->sql(0, "SELECT cluster_switchover('$leader')") if PgCluster::wait_until(sub { $c->wait_ready(0) });
goes_to($writes, 'and back after a switchover', $leader);

$c->wait_ready(0);
$c->stop;
done_testing();
