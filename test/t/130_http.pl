# The HTTP server tells what each member is, to whoever asks and however, and
# nothing that a client or a fault does gets in the way of that or of the server.
use strict;
use warnings;

use HTTP::Tiny;
use IO::Socket::INET;
use PgCluster;
use Test::More;
use Time::HiRes qw(time);

my $c = PgCluster->new(groups => { 0 => 2 }, dcs => { loop_wait => 1 });
my %port = map { $_ => PgCluster::free_port() } $c->members(0);
$c->node($_)->{settings} = { 'pgcluster.http_port' => $port{$_} } foreach $c->members(0);
$c->start;
my $leader = $c->leader(0);
my ($replica) = grep { $_ ne $leader } $c->members(0);
my $http = HTTP::Tiny->new(timeout => 5, keep_alive => 0);

sub ask
{
	my ($name, $path, $method, %options) = @_;

	return $http->request($method // 'GET', "http://127.0.0.1:$port{$name}$path", \%options);
}

sub status { return ask(@_)->{status}; }
sub json { return JSON::PP::decode_json(ask(@_)->{content}); }

# Waits until the member answers with that status.
sub becomes
{
	my ($name, $path, $status, $what) = @_;

	ok(PgCluster::wait_until(sub { status($name, $path) == $status }), $what // "$path of $name becomes $status")
	  or diag(status($name, $path) . ': ' . ask($name, $path)->{content});
	return;
}

# Puts a configuration of the group.
sub configure
{
	my (%config) = @_;

	$c->{store}->put($c->key(0, 'config'),
		JSON::PP->new->canonical->encode({ ttl => 5, loop_wait => 1, %config }));
	return;
}

# A setting of one server, without a restart.
sub set
{
	my ($name, $setting, $value) = @_;

	$c->sql($name, "ALTER SYSTEM SET $setting = '$value'");
	$c->sql($name, 'SELECT pg_reload_conf()');
	return;
}

sub connect_to
{
	my ($name, $send) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port{$name}", Timeout => 5) or return;

	$socket->autoflush(1);
	print $socket $send if defined $send;
	return $socket;
}

# Sends bytes and returns what comes back until the server closes.
sub raw
{
	my ($name, $bytes) = @_;

	local $SIG{PIPE} = 'IGNORE';
	my $socket = connect_to($name, $bytes) or return '';
	shutdown($socket, 1);
	local $/;
	return <$socket> // '';
}

sub worker_pid
{
	my ($name) = @_;

	foreach my $pid (PgCluster::process_tree($c->postmaster_pid($name) // ()))
	{
		return $pid if PgCluster::read_file("/proc/$pid/cmdline") =~ /pgcluster http/;
	}
	return 0;
}

# Path, answer of the leader, answer of the replica.
my @checks = (
	[ '/', 200, 503 ],
	[ '/primary', 200, 503 ],
	[ '/primary/', 200, 503 ],
	[ '/primary?tag_zone=b&lag=0', 200, 503 ],
	[ '/master', 200, 503 ],
	[ '/leader', 200, 503 ],
	[ '/read-write', 200, 503 ],
	[ '/standby-leader', 503, 503 ],
	[ '/replica', 503, 200 ],
	[ '/replica?lag=16MB', 503, 200 ],
	[ '/replica?lag=1.5%20GB', 503, 200 ],
	[ '/replica?lag=-1', 503, 503 ],
	[ '/replica?lag=far', 400, 400 ],
	[ '/replica?replication_state=streaming', 503, 200 ],
	[ '/replica?replication_state=other', 503, 503 ],
	[ '/replica?tag_zone=a', 503, 503 ],
	[ '/read-only', 200, 200 ],
	[ '/read-only?tag_zone=a', 503, 503 ],
	[ '/synchronous', 503, 503 ],
	[ '/sync', 503, 503 ],
	[ '/read-only-sync', 200, 503 ],
	[ '/quorum', 503, 503 ],
	[ '/asynchronous', 503, 200 ],
	[ '/async', 503, 200 ],
	[ '/async?lag=1048576', 503, 200 ],
	[ '/health', 200, 200 ],
	[ '/liveness', 200, 200 ],
	[ '/readiness', 200, 200 ],
	[ '/readiness?lag=16MB&mode=write', 200, 200 ],
	[ '/readiness?mode=guess', 400, 400 ],
	[ '/patroni', 200, 200 ],
	[ '/cluster', 200, 200 ],
	[ '/config', 200, 200 ],
	[ '/history', 200, 200 ],
	[ '/metrics', 200, 200 ],
	[ '/nothing', 404, 404 ],
	[ '/primary/secondary', 404, 404 ]);

becomes($leader, '/primary', 200);
becomes($replica, '/replica?lag=0', 200);
foreach my $check (@checks)
{
	my ($path, $of_leader, $of_replica) = @$check;

	foreach my $method (qw(GET HEAD OPTIONS))
	{
		is(status($leader, $path, $method), $of_leader, "$method $path of the leader");
		is(status($replica, $path, $method), $of_replica, "$method $path of a replica");
	}
}

# What methods mean
is(ask($leader, '/primary', 'HEAD')->{content} // '', '', 'HEAD has no body');
cmp_ok(ask($leader, '/primary', 'HEAD')->{headers}{'content-length'}, '>', 0, '... but the length of one');
is(ask($leader, '/primary', 'OPTIONS')->{content} // '', '', 'OPTIONS has no body');
is(ask($leader, '/primary', 'OPTIONS')->{headers}{allow}, 'GET, HEAD, OPTIONS', '... but the methods');
is(status($leader, '/primary', 'POST'), 405, 'a health check cannot be posted to');
is(status($leader, '/primary', 'BREW'), 501, 'an unknown method');
is(status($leader, '/nothing', 'POST'), 404, 'an unknown path');
is(ask($leader, '/switchover')->{headers}{allow}, 'POST, DELETE', 'an action is not to be read');
is(status($leader, '/restart', 'PUT'), 405, '... or to be done otherwise');

# Documents
my $self = json($leader, '/patroni');
is($self->{state}, 'running', 'state of the leader');
is($self->{role}, 'master', 'role of the leader');
is($self->{server_version}, $c->sql($leader, 'SHOW server_version_num'), 'version');
is($self->{timeline}, $c->sql($leader, 'SELECT timeline_id FROM pg_control_checkpoint()'), 'timeline');
is($self->{database_system_identifier}, $c->sql($leader, 'SELECT system_identifier FROM pg_control_system()'),
	'system identifier');
cmp_ok($self->{xlog}{location}, '>', 0, 'position');
is($self->{patroni}{scope}, 'test', 'scope');
is($self->{replication}[0]{application_name}, $replica, 'who streams');
is($self->{replication}[0]{state}, 'streaming', '... and how');
is($self->{replication}[0]{sync_state}, 'async', '... without being waited for');
is($self->{cluster_unlocked}, undef, 'somebody leads');
cmp_ok(abs($self->{dcs_last_seen} - time()), '<', 10, 'etcd was seen');
is($c->sql($leader, "SELECT '$self->{postmaster_start_time}'::timestamptz = pg_postmaster_start_time()"),
	't', 'start of the postmaster');

$self = json($replica, '/replica');
is($self->{role}, 'replica', 'role of the replica');
is($self->{replication_state}, 'streaming', 'it streams');
cmp_ok($self->{xlog}{received_location}, '>', 0, 'what it has');
cmp_ok($self->{xlog}{replayed_location}, '<=', $self->{xlog}{received_location}, 'what it replayed');
ok(!$self->{xlog}{paused}, 'replay is not paused');

set($leader, 'synchronous_standby_names', 'ANY 1 (*)');
ok(PgCluster::wait_until(sub { json($leader, '/patroni')->{replication}[0]{sync_state} eq 'quorum' }), 'a quorum of standbys');
set($leader, 'synchronous_standby_names', '*');
ok(PgCluster::wait_until(sub { json($leader, '/patroni')->{replication}[0]{sync_state} eq 'sync' }), 'a synchronous standby');
set($leader, 'synchronous_standby_names', '');

my @members = @{ json($replica, '/cluster')->{members} };
is(join(' ', map { $_->{name} } @members), join(' ', sort $leader, $replica), 'members by name');
foreach my $m (@members)
{
	my $leads = $m->{name} eq $leader;

	is($m->{role}, $leads ? 'leader' : 'replica', "role of $m->{name}");
	is($m->{state}, $leads ? 'running' : 'streaming', 'state');
	is($m->{port}, $c->node($m->{name})->{port}, 'port');
	is($m->{host}, '127.0.0.1', 'host');
	is($m->{api_url}, "http://127.0.0.1:$port{$m->{name}}/patroni", 'where its HTTP server is');
	like($m->{lsn} // '', $leads ? qr/^$/ : qr{^[0-9A-F]+/[0-9A-F]+$}, 'position');
	like($m->{lag} // '', $leads ? qr/^$/ : qr/^\d+$/, 'lag');
}
is_deeply(json($replica, '/config'), { ttl => 5, loop_wait => 1 }, 'configuration');
is(json($replica, '/history')->[0][0], 1, 'history');

# Metrics
my $metrics = ask($leader, '/metrics');
like($metrics->{headers}{'content-type'}, qr{^text/plain}, 'metrics are text');
my %metric = $metrics->{content} =~ /^(\w+)\{scope="test",name="$leader",group="0"\} (\S+)$/mg;
is(scalar(() = $metrics->{content} =~ /^[^#]/mg), scalar keys %metric, 'each metric is there once and well formed');
is(scalar(() = $metrics->{content} =~ /^# TYPE \w+ (?:gauge|counter)$/mg), scalar keys %metric, '... with its type');
is($metric{patroni_primary}, 1, 'the leader is the primary');
is($metric{patroni_replica}, 0, '... and no replica');
is($metric{pgcluster_fenced}, 0, '... and may commit');
cmp_ok($metric{pgcluster_lease_remaining_seconds}, '>', 0, '... for some time');
cmp_ok($metric{pgcluster_lease_remaining_seconds}, '<=', 5, '... less than the ttl');
is($metric{pgcluster_epoch}, $c->sql($leader, 'SELECT epoch FROM cluster_lease()'), 'epoch');
cmp_ok($metric{patroni_postmaster_start_time}, '>', time() - 3600, 'start');
like(ask($replica, '/metrics')->{content}, qr/^patroni_replica\{[^}]*\} 1$/m, 'the replica is one');

# Tags
set($replica, 'pgcluster.tags', '{"zone": "a", "disks": 2, "fast": true, "none": null}');
becomes($replica, '/replica?tag_zone=a', 200);
is(status($replica, '/replica?tag_zone=a&tag_disks=2&tag_fast=true'), 200, 'all tags are there');
is(status($replica, '/replica?tag_zone=a&tag_disks=3'), 503, 'one is not');
is(status($replica, '/replica?tag_none=null'), 503, 'null is nothing');
is(json($replica, '/patroni')->{tags}{disks}, 2, 'tags are told');
set($replica, 'pgcluster.tags', '{"noloadbalance": true}');
becomes($replica, '/replica', 503, 'noloadbalance takes the replica out');
is(status($replica, '/health'), 200, '... but it runs');
set($replica, 'pgcluster.tags', 'nonsense');
becomes($replica, '/replica', 200, 'tags that are nonsense are none');
set($replica, 'pgcluster.tags', '{}');

# What the store says of the group
configure(synchronous_mode => 'on');
becomes($replica, '/sync', 200);
is(status($replica, '/async'), 503, 'a synchronous standby is not asynchronous');
is(status($replica, '/read-only-sync'), 200, '... and may be read from');
ok(PgCluster::wait_until(sub { (grep { $_->{name} eq $replica } @{ json($leader, '/cluster')->{members} })[0]{role} eq 'sync_standby' }), '... for all to see');
configure(synchronous_mode => 'quorum');
becomes($replica, '/quorum', 200);
is(status($replica, '/sync'), 503, 'one of a quorum is not synchronous by itself');
is(status($replica, '/read-only-quorum'), 200, '... and may be read from');
configure(synchronous_mode => 'off');
becomes($replica, '/async', 200);
configure(pause => JSON::PP::true);
ok(PgCluster::wait_until(sub { json($replica, '/cluster')->{pause} }), 'pause');
ok(json($replica, '/patroni')->{pause}, '... of each member');
$c->{store}->put($c->key(0, 'failover'), qq({"leader":"$leader","member":"$replica","scheduled_at":"2099-01-02T03:04:05+00:00"}));
ok(PgCluster::wait_until(sub { json($replica, '/cluster')->{scheduled_switchover} }), 'a planned switchover');
is_deeply(json($replica, '/cluster')->{scheduled_switchover},
	{ at => '2099-01-02T03:04:05+00:00', from => $leader, to => $replica }, '... from where, to where, when');
$c->{store}->delete_key($c->key(0, 'failover'));
ok(PgCluster::wait_until(sub { !json($replica, '/cluster')->{scheduled_switchover} }), '... that was called off');
$c->{store}->put($c->key(0, 'config'), 'nonsense');
becomes($replica, '/config', 502, 'a configuration that makes no sense is not passed on');
configure(padding => 'x' x 200000);
becomes($replica, '/config', 500, 'nor is one that is much too long');
configure();
becomes($replica, '/config', 200);

# A replica that falls behind
my $receiver = $c->sql($replica, 'SELECT pid FROM pg_stat_wal_receiver');
kill 'STOP', $receiver;
$c->sql($leader, 'CREATE TABLE filler AS SELECT g, repeat(g::text, 50) FROM generate_series(1, 5000) g');
becomes($replica, '/replica?lag=64kB', 503);
is(status($replica, '/replica'), 200, 'who does not ask for the lag does not care');
is(status($replica, '/readiness?lag=64kB'), 503, 'readiness asks for it as well');
like(ask($replica, '/metrics')->{content}, qr/^pgcluster_replication_lag_bytes\{[^}]*\} [1-9]/m, 'the lag is measured');
kill 'CONT', $receiver;
becomes($replica, '/replica?lag=64kB', 200);

# Clients that are slow, silent, greedy or mad
my $pid = worker_pid($leader);
my @slow = map { connect_to($leader, "GET /primary HTTP/1.1\r\nHost:") } 1 .. 300;
is(scalar(grep { defined } @slow), 300, '300 clients that never finish their request');
my $start = time();
is(status($leader, '/primary'), 200, '... do not keep out others') foreach 1 .. 20;
cmp_ok(time() - $start, '<', 2, '... or slow them down');
my $dribbler = connect_to($leader, "GET /primary HTTP/1.1\r\n");
ok(PgCluster::wait_until(
		sub {
			local $SIG{PIPE} = 'IGNORE';
			my $bits = '';
			vec($bits, fileno($dribbler), 1) = 1;
			print $dribbler "X: y\r\n";
			return select($bits, undef, undef, 0.2) && !sysread($dribbler, my $nothing, 1);
		}), 'a client that dribbles is cut off');
@slow = ();
like(raw($leader, "POST /config HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"), qr{^HTTP/1.1 413}, 'a body that is too long');
like(raw($leader, "GET /primary HTTP/1.1\r\nHost: x\r\nX: " . 'y' x 100000 . "\r\n\r\n"), qr{^HTTP/1.1 4|^$}, 'a head that is too long');
like(raw($leader, 'GET /' . 'y' x 100000), qr{^HTTP/1.1 4|^$}, 'a path that is too long');
is(status($leader, '/replica?' . join('&', map { "a$_=b" } 1 .. 100)), 400, 'too many arguments');
srand(42);
my @scraps = ("GET /primary HTTP/1.1\r\n", "Host: x\r\n", "\r\n", "\0", '%00', '/', '?tag_', '&', '=', "POST /config HTTP/1.1\r\n",
	"Content-Length: 5\r\n", "Content-Length: -1\r\n", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", "ffffffffffffffff\r\n",
	"Expect: 100-continue\r\n", 'HTTP/9.9', ' ', "\r", "\n", "\xff\xfe", 'GET', ':', 'x' x 3000);
{
	local $SIG{PIPE} = 'IGNORE';
	connect_to($leader, join('', map { $scraps[ rand @scraps ] } 1 .. 1 + rand 12)) foreach 1 .. 500;
	connect_to($leader, pack('C*', map { int rand 256 } 1 .. 1 + rand 500)) foreach 1 .. 200;
}
is(raw($leader, 'GET /prim'), '', 'a request that ends in the middle is not answered');
is(status($leader, '/primary'), 200, 'nonsense changes nothing');
is(worker_pid($leader), $pid, 'all along it was one process');

# Settings
my $former = $port{$replica};
my $member = sub { JSON::PP::decode_json($c->{store}->get($c->key(0, "members/$replica"))) };
$port{$replica} = PgCluster::free_port();
set($replica, 'pgcluster.http_port', $port{$replica});
becomes($replica, '/replica', 200, 'another port');
ok(!IO::Socket::INET->new(PeerAddr => "127.0.0.1:$former"), 'the former one is closed');
ok(PgCluster::wait_until(sub { $member->()->{api_url} eq "http://127.0.0.1:$port{$replica}/patroni" }), 'others are told');
set($replica, 'pgcluster.http_port', 0);
ok(PgCluster::wait_until(sub { !connect_to($replica) }), 'no port, no server');
ok(PgCluster::wait_until(sub { !defined $member->()->{api_url} }), 'others are told');
my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $former, Listen => 1, ReuseAddr => 1);
$port{$replica} = $former;
set($replica, 'pgcluster.http_port', $former);
ok(PgCluster::wait_until(sub { PgCluster::read_file($c->node($replica)->{log}) =~ /HTTP server listens nowhere/ }),
	'a port that is taken');
close $taken;
becomes($replica, '/replica', 200, '... is taken over when it is free');
set($replica, 'pgcluster.http_listen', '127.0.0.1, localhost, no.such.host.invalid');
becomes($replica, '/replica', 200, 'an address that is no good does not spoil the others');
set($replica, 'pgcluster.http_listen', '*');
becomes($replica, '/replica', 200, 'all addresses');

# The worker ends, or all processes do
my $postmaster = $c->postmaster_pid($replica);
$pid = worker_pid($replica);
kill 'TERM', $pid;
ok(PgCluster::wait_until(sub { my $new = worker_pid($replica); $new && $new != $pid }), 'a worker that was ended is started again');
becomes($replica, '/replica', 200);
kill 'KILL', worker_pid($replica);
ok(PgCluster::wait_until(sub { PgCluster::read_file($c->node($replica)->{log}) =~ /all server processes terminated; reinitializing/ }),
	'the server restarts when it is killed');
becomes($replica, '/replica', 200, 'and answers again');
is($c->postmaster_pid($replica), $postmaster, 'under the same postmaster');

# An agent that hangs: its server is no leader any more.
my $agent = $c->agent_pid($leader);
kill 'STOP', $agent;
becomes($leader, '/primary', 503, 'the server of a hung agent is no leader');
becomes($leader, '/liveness', 503, '... and not well');
is(status($leader, '/read-only'), 503, '... nor is it to be read from as one');
is(status($leader, '/health'), 200, '... although it runs');
becomes($replica, '/primary', 200, 'another member leads');
kill 'CONT', $agent;
becomes($leader, '/replica', 200, 'the former leader is a replica');
($leader, $replica) = ($replica, $leader);
$c->wait_ready(0);
ok(PgCluster::wait_until(sub { (grep { $_->{name} eq $leader } @{ json($replica, '/cluster')->{members} })[0]{role} eq 'leader' }),
	'and knows the new one');

# No etcd
$c->{store}->stop('KILL');
becomes($leader, '/primary', 503, 'who cannot prove to lead is no leader');
becomes($leader, '/liveness', 200, 'but alive');
is(status($replica, '/replica'), 200, 'a replica stays one');
is(scalar @{ json($replica, '/cluster')->{members} }, 2, 'the last view is still there');
like(ask($leader, '/metrics')->{content}, qr/^pgcluster_fenced\{[^}]*\} 1$/m, 'the fence is seen');
$c->{store}->start;
ok(PgCluster::wait_until(sub { grep { status($_, '/primary') == 200 } $c->members(0) }), 'with etcd there is a leader again');

# The end is not held up by clients.
my @open = map { connect_to($replica, 'GET ') } 1 .. 20;
$start = time();
$c->stop_node($replica);
cmp_ok(time() - $start, '<', 10, 'clients do not hold up the end');
ok(!connect_to($replica), 'nobody answers for a server that was stopped');

$c->stop;
done_testing();
