# From where the cluster may be changed over HTTP when nothing is configured:
# from the same host, and by nobody on another one.
use strict;
use warnings;

use PgCluster::Network;
my $network;
BEGIN { $network = PgCluster::Network::enter(); }

use PgCluster;
use Test::More;

plan skip_all => PgCluster::Network::obstacle() unless $network;

my $c = PgCluster->new(groups => { 0 => 2 }, network => 1, dcs => { loop_wait => 1 });
plan skip_all => 'there is no curl' if ($c->try_run('/usr/bin/env', 'curl', '--version'))[0] != 0;
$c->start;
my $leader = $c->wait_ready(0);
my ($replica) = grep { $_ ne $leader } $c->members(0);

# Status of a request from a host; the arguments are curl's.
sub ask
{
	my ($from, $to, $path, @arguments) = @_;
	my ($status, $out) = $c->try_run('/usr/bin/env', $c->{network}->inside($from), 'curl', '--silent', '--max-time', '10', '--noproxy', '*',
		'--output', "$c->{dir}/body", '--write-out', '%{http_code}', @arguments, "http://@{[ $c->node($to)->{address} ]}:8008$path");

	return $out;
}

my @change = ('/switchover', '--request', 'DELETE');
my @failsafe = ('/failsafe', '--data', '{"name":"nobody","ttl":1}');

is(ask('client', $leader, '/primary'), '200', 'everybody may read');
is(ask('client', $leader, @change), '403', 'a client elsewhere may change nothing');
like(PgCluster::read_file("$c->{dir}/body"), qr/from the same host only/, '... and is told why');
is(ask($replica, $leader, @change), '403', 'neither may another member');
is(ask($leader, $leader, @change), '404', 'the same host may');
is(ask('client', $leader, @failsafe), '403', 'a client elsewhere is no leader without etcd');
isnt(ask($replica, $leader, @failsafe), '403', 'a member may be one');

sub configure
{
	my ($setting, $value) = @_;

	$c->sql($leader, "ALTER SYSTEM SET $setting = '$value'");
	$c->sql($leader, 'SELECT pg_reload_conf()');
	return;
}

configure('pgcluster.http_allowlist_include_members', 'on');
ok(PgCluster::wait_until(sub { ask($replica, $leader, @change) eq '404' }), 'members may when they are listed');
is(ask('client', $leader, @change), '403', '... but no others');
configure('pgcluster.http_allowlist', '198.51.100.0/24, 203.0.113.0/24, 192.0.2.0/24');
ok(PgCluster::wait_until(sub { ask('client', $leader, @change) eq '404' }), 'whoever is in the network that is listed may');

$c->stop;
done_testing();
