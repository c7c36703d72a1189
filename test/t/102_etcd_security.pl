# A member over an etcd that wants TLS, a client certificate, a user and a
# password: pgcluster_node and the agent both have them.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 2 });
my $dir = $c->{dir};

sub openssl
{
	$c->run('/usr/bin/env', 'openssl', @_);
	return;
}

sub make_certificates
{
	my @key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes');

	openssl('req', '-x509', @key, '-days', '2', '-subj', '/CN=ca', '-keyout', "$dir/ca.key", '-out', "$dir/ca.crt");
	PgCluster::write_file("$dir/names", 'subjectAltName=IP:127.0.0.1');
	foreach my $name (qw(server client))
	{
		# etcd takes the name in a client's certificate for its user, unless
		# the certificate has none.
		openssl('req', @key, '-subj', $name eq 'server' ? '/CN=server' : '/O=clients', '-keyout', "$dir/$name.key", '-out', "$dir/$name.csr");
		openssl('x509', '-req', '-days', '2', '-in', "$dir/$name.csr", '-CA', "$dir/ca.crt", '-CAkey',
			"$dir/ca.key", '-CAcreateserial', '-extfile', "$dir/names", '-out', "$dir/$name.crt");
	}
	return;
}

# An etcd of its own: the module's speaks plain HTTP.
sub start_etcd
{
	my ($client, $peer) = (PgCluster::free_port(), PgCluster::free_port());
	my $store = $c->{store};

	$store->{members} = [ { address => '127.0.0.1', client => $client, log => "$dir/etcd.log" } ];
	$store->{members}[0]{pid} = $c->spawn("$dir/etcd.log", '/usr/bin/env', 'etcd',
		'--data-dir' => "$dir/secure",
		'--listen-client-urls' => "https://127.0.0.1:$client",
		'--advertise-client-urls' => "https://127.0.0.1:$client",
		'--listen-peer-urls' => "http://127.0.0.1:$peer",
		'--initial-advertise-peer-urls' => "http://127.0.0.1:$peer",
		'--initial-cluster' => "default=http://127.0.0.1:$peer",
		'--cert-file' => "$dir/server.crt", '--key-file' => "$dir/server.key",
		'--trusted-ca-file' => "$dir/ca.crt", '--client-cert-auth',
		'--logger' => 'zap', '--log-level' => 'error');
	return;
}

sub etcdctl
{
	my (@arguments) = @_;

	return $c->try_run('/usr/bin/env', 'ETCDCTL_API=3', 'etcdctl', '--endpoints', $c->{store}->endpoints,
		'--cacert', "$dir/ca.crt", '--cert', "$dir/client.crt", '--key', "$dir/client.key", @arguments);
}

plan skip_all => 'there is no openssl' if ($c->try_run('/usr/bin/env', 'openssl', 'version'))[0] != 0;
make_certificates();
start_etcd();
ok(PgCluster::wait_until(sub { (etcdctl('endpoint', 'health'))[0] == 0 }), 'an etcd with TLS runs');
foreach my $command ([ 'user', 'add', 'root:root-secret' ], [ 'user', 'grant-role', 'root', 'root' ],
	[ 'user', 'add', 'pgcluster:etcd-secret' ], [ 'role', 'add', 'cluster' ],
	[ 'role', 'grant-permission', 'cluster', '--prefix=true', 'readwrite', '/service/' ],
	[ 'user', 'grant-role', 'pgcluster', 'cluster' ], [ 'auth', 'enable' ])
{
	etcdctl(@$command);
}
PgCluster::write_file("$dir/etcd-password", "etcd-secret\n");
PgCluster::write_file("$dir/wrong-password", "guess\n");

my @secure = ('--etcd-protocol' => 'https', '--etcd-cacert' => "$dir/ca.crt", '--etcd-cert' => "$dir/client.crt",
	'--etcd-key' => "$dir/client.key", '--etcd-username' => 'pgcluster');

$c->{passfile} = "$dir/passfile";
PgCluster::write_file($c->{passfile}, "*:*:*:*:server-secret\n");
chmod 0600, $c->{passfile};
$c->{node_args} = [ @secure, '--etcd-password-file' => "$dir/wrong-password" ];
$c->start_node('c1');
ok(PgCluster::wait_until(sub { PgCluster::read_file($c->node('c1')->{log}) =~ /etcd does not answer/ }),
	'a wrong password for etcd is told');
ok(!-e $c->node('c1')->{data} . '/PG_VERSION', 'and nothing is initialised');
$c->stop_node('c1');

$c->{node_args} = [ @secure, '--etcd-password-file' => "$dir/etcd-password" ];
$c->start_node($_) foreach $c->node_names;
ok(PgCluster::wait_until(sub { grep { $c->is_primary($_) } $c->node_names }), 'a leader is there')
  or diag($c->tails);
my ($leader) = grep { $c->is_primary($_) } $c->node_names;
my ($standby) = grep { $_ ne $leader } $c->node_names;
$c->wait_streaming($standby);
pass('the other member was cloned and streams');
is($c->sql($leader, 'SELECT held FROM cluster_lease()'), 't', 'the lease is held');

my $secrets = 0;
foreach my $file (glob('/proc/[0-9]*/cmdline'), map { $_->{log} } values %{ $c->{nodes} })
{
	$secrets++ if PgCluster::read_file($file) =~ /etcd-secret|server-secret/;
}
is($secrets, 0, 'no password appears in a command line or a log');

$c->stop;
done_testing();
