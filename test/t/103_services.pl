# pgcluster_node under a service manager and in a container.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IO::Socket::UNIX;
use PgCluster;
use Socket qw(SOCK_DGRAM);
use Test::More;

my $dist = abs_path(dirname(__FILE__) . '/../../dist');
my $c = PgCluster->new(groups => { 0 => 1 });
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$c->{dir}/notify")
  or die "no socket: $!";
my @told;

# Takes in what the service manager was told; returns all of it so far.
sub told
{
	my $message;

	$socket->blocking(0);
	while (defined $socket->recv($message, 4096) && length $message)
	{
		push @told, split /\n/, $message;
	}
	return @told;
}

sub wait_told
{
	my ($what, $from) = @_;

	return PgCluster::wait_until(sub { my @t = told(); grep { $_ eq $what } @t[ $from // 0 .. $#t ] });
}

$c->node('c1')->{wrapper} = [ '/usr/bin/env', "NOTIFY_SOCKET=$c->{dir}/notify" ];
$c->start;
plan skip_all => 'pgcluster_node was built without libsystemd' if !told();

ok(wait_told('READY=1'), 'the service manager hears that the server takes connections');
is($c->sql('c1', 'SELECT 1'), '1', 'as it does');
is((told())[0], 'STATUS=making the first member of the group', 'and what came before');

my $before = () = told();
$c->kill_postmaster('c1');
ok(wait_told('STATUS=the server takes connections', $before), 'a server that died is up again');
$c->wait_ready(0);
is(scalar(grep { /^(READY|STOPPING)=/ } told()), 1, 'it was ready all the while, for the service manager');

# A standby in a container.
my $node = $c->add_node('e1', group => 0);
my @environment = (
	"PGBIN=$c->{bindir}", "PGDATA=$node->{data}", "HOME=$c->{dir}",
	'PGCLUSTER_SCOPE=test', 'PGCLUSTER_NAME=e1', 'PGCLUSTER_ETCD=' . $c->{store}->endpoints,
	"PGCLUSTER_PORT=$node->{port}", 'PGCLUSTER_ADVERTISE_HOST=127.0.0.1',
	"PGCLUSTER_PASSFILE=$c->{passfile}");
$node->{pid} = $c->spawn($node->{log}, '/usr/bin/env', @environment, "$dist/entrypoint",
	'--listen=127.0.0.1', "--set=unix_socket_directories=$c->{socket_dir}", '--set=fsync=off');
$c->wait_streaming('e1');
is($c->sql('e1', 'SHOW pgcluster.node_name'), 'e1', 'the entry point of a container starts a member');
is(sprintf('%o', (stat "$c->{dir}/.pgcluster_passfile")[2] & 0777), '600', 'with the secret for its eyes only');
$c->stop_node('e1');
is($node->{status}, 0, 'SIGTERM stops it in order');

foreach my $missing (qw(PGCLUSTER_SCOPE PGCLUSTER_ETCD))
{
	my ($status, undef, $err) =
	  $c->try_run('/usr/bin/env', (grep { !/^$missing=/ } @environment), "$dist/entrypoint");
	isnt($status, 0, "without $missing it does not start");
	like($err, qr/$missing is not set/, 'and says why');
}
my ($status, $out) = $c->try_run("$dist/entrypoint", 'echo', 'other');
is($out, "other\n", 'another command is run in its place');

$c->stop;
ok(wait_told('STOPPING=1'), 'the service manager hears of the end');
done_testing();
