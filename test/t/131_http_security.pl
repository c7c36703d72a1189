# Who may change the cluster over HTTP: by password, address and certificate,
# each of them as the settings say now.
use strict;
use warnings;

use IO::Socket::INET;
use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 1 }, dcs => { loop_wait => 1 });
my $dir = $c->{dir};
my $port = PgCluster::free_port();

foreach my $tool (qw(curl openssl))
{
	plan skip_all => "there is no $tool" if ($c->try_run('/usr/bin/env', $tool, $tool eq 'curl' ? '--version' : 'version'))[0] != 0;
}

$c->node('c1')->{settings} = { 'pgcluster.http_port' => $port, 'pgcluster.http_listen' => '127.0.0.1' };
$c->start;

# Changes settings, and waits until a question has that answer.
sub configure
{
	my (%settings) = @_;

	$c->sql('c1', "ALTER SYSTEM SET \"$_\" = '$settings{$_}'") foreach sort keys %settings;
	$c->sql('c1', 'SELECT pg_reload_conf()');
	return;
}

# Status of a request; the arguments are curl's.
sub ask
{
	my ($path, @arguments) = @_;
	my $url = $path =~ /^http/ ? $path : "http://127.0.0.1:$port$path";
	my ($status, $out) = $c->try_run('/usr/bin/env', 'curl', '--silent', '--max-time', '10', '--noproxy', '*',
		'--cacert', "$dir/ca.crt", '--output', "$dir/body", '--write-out', '%{http_code}', @arguments, $url);

	return $status == 0 ? $out : 'none';
}

# A change that has nothing to change: whoever may ask for it is told 404.
my @change = ('--request', 'DELETE');
my $switchover = '/switchover';

sub change { return ask($switchover, @change, @_); }

sub becomes
{
	my ($expected, $what, @arguments) = @_;

	ok(PgCluster::wait_until(sub { change(@arguments) eq $expected }), $what) or diag(change(@arguments) . ': ' . PgCluster::read_file("$dir/body"));
	return;
}

sub write_secret
{
	my ($file, $text) = @_;

	PgCluster::write_file("$dir/$file", $text);
	chmod 0600, "$dir/$file";
	return;
}

# Nothing is configured: this host only, and no pages.
becomes('404', 'without any setting, this host may change the cluster');
is(change('--header', 'Origin: http://example.com'), '403', '... but no page in a browser');
is(ask('/primary', '--header', 'Origin: http://example.com'), '200', '... which may read');

# Name and password
write_secret('password', "secret of mine\nmore\n");
configure('pgcluster.http_auth_username' => 'admin', 'pgcluster.http_auth_password_file' => "$dir/password");
becomes('401', 'a password is needed now');
is(change('--user', 'admin:secret of mine'), '404', 'with it the change is let through');
is(change('--user', 'admin:secret of min'), '401', 'a wrong one');
is(change('--user', 'admin:secret of mine2'), '401', 'a longer one');
is(change('--user', 'Admin:secret of mine'), '401', 'another user');
is(change('--header', 'Authorization: Bearer abc'), '401', 'another kind of proof');
is(change('--header', 'Authorization: Basic'), '401', 'nothing');
is(change('--user', 'admin:secret of mine', '--header', 'Origin: http://example.com'), '404', 'a page that knows the password');
is(ask('/primary'), '200', 'to read none is needed');
is(ask('/metrics'), '200', '... whatever it is');
$c->run('/usr/bin/env', 'curl', '--silent', '--output', "$dir/body", '--dump-header', "$dir/head", @change, "http://127.0.0.1:$port/switchover");
like(PgCluster::read_file("$dir/head"), qr/^WWW-Authenticate: Basic realm="pgcluster"\r?$/m, 'the client is told how');
is(ask('/config', '--request', 'PATCH', '--data', '{"ttl":"' . 'x' x 50000 . '"}'), '401', 'a long body of a stranger');

write_secret('password', "another secret\n");
configure();
becomes('404', 'a reload reads the password again', '--user', 'admin:another secret');
is(change('--user', 'admin:secret of mine'), '401', 'the former one is void');
chmod 0644, "$dir/password";
configure();
becomes('401', 'a password that everybody can read lets nobody in', '--user', 'admin:another secret');
like(PgCluster::read_file($c->node('c1')->{log}), qr/nobody can change the cluster over HTTP: .*may be read by everybody/, '... and the log says so');
unlink "$dir/password";
configure();
becomes('401', 'nor does one that is not there', '--user', 'admin:');
unlike(PgCluster::read_file($c->node('c1')->{log}), qr/secret of mine|another secret/, 'no password is logged');
configure('pgcluster.http_auth_username' => '', 'pgcluster.http_auth_password_file' => '');
becomes('404', 'no password is needed any more');

# Addresses
configure('pgcluster.http_allowlist' => '10.0.0.0/8, 127.0.0.2, nonsense');
becomes('403', 'this address is not in the list');
is(change('--interface', '127.0.0.2'), '404', 'another one is');
is(ask('/primary'), '200', 'to read it need not be');
like(PgCluster::read_file($c->node('c1')->{log}), qr/invalid address in parameter "pgcluster.http_allowlist": "nonsense"/, 'what is no address is logged');
configure('pgcluster.http_allowlist_include_members' => 'on');
becomes('404', 'members are in the list');
is(change('--interface', '127.0.0.3'), '403', 'others are not');
configure('pgcluster.http_allowlist' => '', 'pgcluster.http_allowlist_include_members' => 'off');
becomes('404', 'no list', '--interface', '127.0.0.3');

# An agent that hangs keeps those waiting who ask it for something, and nobody else.
my $agent = $c->agent_pid('c1');
kill 'STOP', $agent;
my @waiting = map {
	my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 5);
	print $socket "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{\"ttl\":5}";
	$socket
} 1 .. 30;
is(ask('/health'), '200', 'others are answered while the agent hangs');
is(ask('/health'), '200', '... again and again') foreach 1 .. 5;
is(change(), '503', 'more than some cannot wait');
# The port of the server changes under those who wait.
my $other = PgCluster::free_port();
PgCluster::append_file($c->node('c1')->{data} . '/postgresql.auto.conf', "pgcluster.http_port = $other\n");
kill 'HUP', $c->postmaster_pid('c1');
($port, $other) = ($other, $port);
ok(PgCluster::wait_until(sub { ask('/health') eq '200' }), 'the server goes on at another port');
my @answers = map { local $/; <$_> // '' } @waiting;
is(scalar(grep { /^HTTP\/1.1 503 / } @answers), 30, 'who waited is told so') or diag(join "\n", map { substr($_, 0, 80) } @answers);
kill 'CONT', $agent;
becomes('404', 'the agent is back');
configure('pgcluster.http_port' => $other);
($port, $other) = ($other, $port);
becomes('404', 'and so is the port');
like(PgCluster::read_file($c->node('c1')->{log}), qr/HTTP request from 127.0.0.1: PATCH \/config/, 'who changes something is logged');

# TLS
sub certify
{
	my ($name, $ca, $serial) = @_;
	my @key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes');

	PgCluster::write_file("$dir/names", 'subjectAltName=IP:127.0.0.1');
	if (!-e "$dir/$ca.crt")
	{
		$c->run('/usr/bin/env', 'openssl', 'req', '-x509', @key, '-days', '2', '-subj', "/CN=$ca", '-keyout', "$dir/$ca.key", '-out', "$dir/$ca.crt");
	}
	$c->run('/usr/bin/env', 'openssl', 'req', @key, '-subj', "/CN=$name", '-keyout', "$dir/$name.key", '-out', "$dir/$name.csr");
	$c->run('/usr/bin/env', 'openssl', 'x509', '-req', '-days', '2', '-in', "$dir/$name.csr", '-CA', "$dir/$ca.crt",
		'-CAkey', "$dir/$ca.key", '-set_serial', $serial, '-extfile', "$dir/names", '-out', "$dir/$name.crt");
	chmod 0600, "$dir/$name.key";
	return;
}

sub served_serial
{
	my ($status, $out) = $c->try_run('/bin/sh', '-c', "openssl s_client -connect 127.0.0.1:$port </dev/null 2>/dev/null | openssl x509 -noout -serial");

	return $out =~ /serial=(\w+)/ ? $1 : '';
}

certify('server', 'ca', 17);
certify('client', 'ca', 18);
certify('stranger', 'other', 19);
configure('pgcluster.http_cert_file' => "$dir/server.crt", 'pgcluster.http_key_file' => "$dir/server.key");
my $https = "https://127.0.0.1:$port";
ok(PgCluster::wait_until(sub { ask("$https/primary") eq '200' }), 'TLS');
is(ask('/primary'), 'none', '... and nothing else');
isnt(ask("$https/primary", '--tls-max', '1.1'), '200', '... in no old version');
ok(PgCluster::wait_until(sub { ($c->{store}->get($c->key(0, 'members/c1')) // '') =~ m{"api_url": ?"https://127.0.0.1:$port/patroni"} }), 'other members are told');
$switchover = "$https/switchover";
becomes('404', 'a change over TLS');
my $idle = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 5);
is(ask("$https/primary"), '200', 'who does not begin to speak TLS keeps nobody waiting');

# A mistake at a reload leaves the server as it was.
PgCluster::write_file("$dir/server.crt", 'nonsense');
configure();
ok(PgCluster::wait_until(sub { PgCluster::read_file($c->node('c1')->{log}) =~ /HTTP server cannot use its certificates/ }), 'a certificate that makes no sense is logged');
is(ask("$https/primary"), '200', '... and not used');
certify('server', 'ca', 33);
configure();
ok(PgCluster::wait_until(sub { served_serial() eq '21' }), 'a reload reads the certificate again');
is(ask("$https/primary"), '200', '... and uses it');
configure('pgcluster.http_ciphers' => 'NORMAL:-VERS-ALL:+VERS-TLS1.2');
ok(PgCluster::wait_until(sub { ask("$https/primary", '--tlsv1.3') eq 'none' }), 'versions and ciphers');
is(ask("$https/primary"), '200', '... that are left');
configure('pgcluster.http_ciphers' => '');

# Certificates of clients
my @client = ('--cert', "$dir/client.crt", '--key', "$dir/client.key");
my @stranger = ('--cert', "$dir/stranger.crt", '--key', "$dir/stranger.key");
configure('pgcluster.http_ca_file' => "$dir/ca.crt", 'pgcluster.http_verify_client' => 'optional');
becomes('403', 'to change something a certificate is needed');
is(change(@client), '404', 'with it the change is let through');
is(change(@stranger), '403', 'one of another authority is no good');
is(ask("$https/primary"), '200', 'to read none is needed');
configure('pgcluster.http_verify_client' => 'required');
ok(PgCluster::wait_until(sub { ask("$https/primary") eq '403' }), 'now it is');
is(ask("$https/primary", @client), '200', 'with a certificate one may read');
is(ask("$https/primary", @stranger), '403', 'with one of another authority not');
is(change(@client), '404', 'with a certificate one may change');
write_secret('password', "secret of mine\n");
configure('pgcluster.http_auth_username' => 'admin', 'pgcluster.http_auth_password_file' => "$dir/password");
becomes('401', 'a password can be asked for as well', @client);
is(change(@client, '--user', 'admin:secret of mine'), '404', 'certificate and password');
is(change('--user', 'admin:secret of mine'), '403', 'the password alone');
configure('pgcluster.http_verify_client' => 'none', 'pgcluster.http_auth_username' => '', 'pgcluster.http_auth_password_file' => '',
	'pgcluster.http_cert_file' => '', 'pgcluster.http_key_file' => '');
ok(PgCluster::wait_until(sub { ask('/primary') eq '200' }), 'without TLS again');

# A start with files that are no good must not answer without TLS.
configure('pgcluster.http_cert_file' => "$dir/no.crt", 'pgcluster.http_port' => 0);
ok(PgCluster::wait_until(sub { ask('/primary') eq 'none' }), 'the server is off');
configure('pgcluster.http_port' => $port);
$c->restart_node('c1');
ok(PgCluster::wait_until(sub { () = PgCluster::read_file($c->node('c1')->{log}) =~ /HTTP server listens nowhere/g }), 'it does not listen without its certificate');
is(ask('/primary'), 'none', '... at all');
configure('pgcluster.http_cert_file' => "$dir/server.crt", 'pgcluster.http_key_file' => "$dir/server.key");
ok(PgCluster::wait_until(sub { ask("$https/primary") eq '200' }), 'with it it does');

$c->stop;
done_testing();
