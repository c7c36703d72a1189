# The etcd client (src/dcs) against real etcds, and against a server that
# answers what etcd never would.

use strict;
use warnings;

use File::Path qw(make_path);
use IO::Socket::INET;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'etcd is not installed' if system('etcd --version >/dev/null 2>&1') != 0;

my $dir = PostgreSQL::Test::Utils::tempdir();
my %pids;    # of what we started
my $owner = $$;

END
{
	if ($$ == $owner)
	{
		my $status = $?;
		foreach my $pid (keys %pids)
		{
			kill 'CONT', $pid;
			kill 'KILL', $pid;
			waitpid($pid, 0);
		}
		$? = $status;
	}
}

#-----------------------------------------------------------------------
# Processes
#-----------------------------------------------------------------------

sub free_port
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no port: $!";
	my $port = $socket->sockport;
	return $port;
}

sub wait_until
{
	my ($condition, $seconds) = @_;
	my $end = time() + ($seconds // 30);
	until ($condition->())
	{
		return 0 if time() > $end;
		sleep(0.05);
	}
	return 1;
}

sub slurp
{
	open(my $fh, '<', $_[0]) or return '';
	local $/;
	return scalar(<$fh>) // '';
}

sub spew
{
	my ($path, $text) = @_;
	open(my $fh, '>', "$path.new") or die "could not write $path: $!";
	print $fh $text;
	close $fh;
	rename "$path.new", $path or die "could not rename $path: $!";
	return;
}

# Members of an etcd: name => { client, peer, args, pid }
sub start_etcd
{
	my ($members, $name) = @_;
	my $m = $members->{$name};
	my $scheme = $m->{tls} ? 'https' : 'http';
	my $cluster = join ',', map { "$_=http://127.0.0.1:$members->{$_}{peer}" } sort keys %$members;
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		open(STDOUT, '>>', "$dir/$name.log");
		open(STDERR, '>&', \*STDOUT);
		exec('etcd', '--name', $name, '--data-dir', "$dir/$name",
			'--listen-client-urls', "$scheme://127.0.0.1:$m->{client}",
			'--advertise-client-urls', "$scheme://127.0.0.1:$m->{client}",
			'--listen-peer-urls', "http://127.0.0.1:$m->{peer}",
			'--initial-advertise-peer-urls', "http://127.0.0.1:$m->{peer}",
			'--initial-cluster', $cluster, '--unsafe-no-fsync', @{ $m->{args} // [] })
		  or POSIX::_exit(127);
	}
	$pids{$pid} = 1;
	$m->{pid} = $pid;
	return;
}

sub new_etcd
{
	my (@names) = @_;
	my %members = map { $_ => { client => free_port(), peer => free_port() } } @names;
	return \%members;
}

sub stop_pid
{
	my ($pid, $signal) = @_;
	kill $signal // 'TERM', $pid;
	waitpid($pid, 0);
	delete $pids{$pid};
	return;
}

sub etcdctl
{
	my ($member, @args) = @_;
	my @flags = ref $member->{flags} ? @{ $member->{flags} } : ();
	my $scheme = $member->{tls} ? 'https' : 'http';
	local $ENV{ETCDCTL_API} = 3;
	my ($out, $err);
	my $done = IPC::Run::run(
		['etcdctl', '--endpoints', "$scheme://127.0.0.1:$member->{client}", @flags, @args],
		'>', \$out, '2>', \$err);
	diag("etcdctl @args: $err") unless $done;
	return $done ? $out : undef;
}

sub etcd_ready
{
	my ($member) = @_;
	my @flags = ref $member->{flags} ? @{ $member->{flags} } : ();
	my $scheme = $member->{tls} ? 'https' : 'http';
	local $ENV{ETCDCTL_API} = 3;
	return wait_until(
		sub {
			my ($out, $err);
			return IPC::Run::run(
				['etcdctl', '--endpoints', "$scheme://127.0.0.1:$member->{client}", @flags,
					'get', 'x'], '>', \$out, '2>', \$err);
		});
}

#-----------------------------------------------------------------------
# A server that is no etcd.  It does what the file "fake" says at each request.
#-----------------------------------------------------------------------

my $ok_range = '{"header":{"revision":"1"}}';
my %fakes = (
	ok => sub { http($_[0], $ok_range) },
	# etcd's answer to the keep-alive of another's lease
	other_lease => sub { http($_[0], '{"result":{"header":{"revision":"1"},"ID":"1","TTL":"0"}}') },
	empty => sub { http($_[0], '') },
	html => sub { http($_[0], '<html>It works!</html>') },
	half_json => sub { http($_[0], '{"header":{"revision":"1"},"kvs":[{"key":"YQ==",') },
	wrong_types => sub { http($_[0], '{"header":[],"kvs":7,"ID":{},"TTL":[],"result":"x"}') },
	noise => sub { print { $_[0] } join('', map { chr(($_ * 7919) % 256) } 1 .. 5000) },
	cut_off => sub {
		print { $_[0] } "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"header\":{\"revision\":";
	},
	cut_chunk => sub {
		print { $_[0] } "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{\"header\":";
	},
	huge => sub { http($_[0], '{"header":{"revision":"1"},"x":"' . ('y' x (9 * 1024 * 1024)) . '"}') },
	nested => sub { http($_[0], '{"a":' x 100000) },
	hang_up => sub { },
	silence => sub { sleep 0.1 while defined getpeername($_[0]) && fake_mode() eq 'silence' },
	# one byte after the other: within each byte's patience, not within the whole's
	drip => sub {
		print { $_[0] } "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
		for (1 .. 100)
		{
			print { $_[0] } ' ' or last;
			sleep 0.1;
		}
	});

sub http
{
	my ($socket, $body) = @_;
	print $socket "HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
	return;
}

sub fake_mode { return slurp("$dir/fake"); }

sub serve_fake
{
	my ($listener) = @_;

	$SIG{CHLD} = 'IGNORE';
	$SIG{PIPE} = 'IGNORE';
	while (1)
	{
		my $socket = $listener->accept or next;
		next if fork();
		$socket->autoflush(1);
		# One request a connection; the headers and what came with them are enough.
		my $request = '';
		while ($request !~ /\r\n\r\n.*\}/s)
		{
			sysread($socket, $request, 65536, length $request) or POSIX::_exit(0);
		}
		open(my $log, '>>', "$dir/fake.log");
		print $log (split / /, $request)[1] . "\n";
		close $log;
		$fakes{ fake_mode() }->($socket);
		close $socket;
		POSIX::_exit(0);
	}
}

sub start_fake
{
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 20) or die "listen: $!";
	my $port = $listener->sockport;
	my $pid = fork() // die "fork: $!";

	serve_fake($listener) if $pid == 0;
	$pids{$pid} = 1;
	return $port;
}

#-----------------------------------------------------------------------
# The client, behind SQL functions
#-----------------------------------------------------------------------

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my $node = PostgreSQL::Test::Cluster->new('client');
my $module = "$dir/dcs_test";

make_path($module);
system("cp -r test/modules/dcs_test/* '$module'/ && rm -f '$module'/*.o '$module'/*.so") == 0
  or die 'could not copy the module';
system("make -s -C '$module' TOP='" . Cwd::getcwd() . "' PG_CONFIG='$pg_config' >'$dir/make.log' 2>&1") == 0
  or BAIL_OUT("could not build the module:\n" . slurp("$dir/make.log"));
$node->init;
$node->start;
$node->psql('postgres', slurp('test/modules/dcs_test/dcs_test.sql'),
	extra_params => [ '-v', "library=$module/dcs_test.so" ],
	on_error_die => 1);

my $session;

sub q1 { return $session->query($_[0]); }

# A new session with a new store.
sub connect_to
{
	my ($endpoints, %options) = @_;
	my $args = join '', map { ", $_ => " . ($options{$_} =~ /^(\d+|true|false)$/ ? $options{$_} : "'$options{$_}'") }
	  sort keys %options;

	$session->quit if $session;
	$session = $node->background_psql('postgres', on_error_die => 1);
	q1("SELECT dcs_open('$endpoints'$args)");
	return;
}

# The outcome of a verb, as a hash.
sub verb
{
	my ($call) = @_;
	my %outcome;
	@outcome{qw(status revision lease ttl keys ms reason)} =
	  split /\|/, q1("SELECT status, revision, lease, ttl, keys, ms, reason FROM $call"), 7;
	return \%outcome;
}

sub verb_is
{
	my ($call, $status, $name) = @_;
	my $outcome = verb($call);

	is($outcome->{status}, $status, $name // "$call: $status") or diag($outcome->{reason});
	return $outcome;
}

# Takes events until they look like this; all that came are returned.
sub events_like
{
	my ($pattern, $name, $seconds) = @_;
	my $events = '';

	my $came = wait_until(
		sub {
			$events .= q1('SELECT dcs_events(100)');
			$events =~ s/\n\n+/\n/g;
			return $events =~ $pattern;
		},
		$seconds);
	ok($came, $name) or diag("events:\n$events");
	return $events;
}

sub log_count
{
	my ($pattern) = @_;
	my @found = slurp($node->logfile) =~ /$pattern/g;
	return scalar @found;
}

#-----------------------------------------------------------------------
# Verbs
#-----------------------------------------------------------------------

my $etcd = new_etcd('one');
my $one = $etcd->{one};
start_etcd($etcd, 'one');
ok(etcd_ready($one), 'etcd runs');
my $real = "127.0.0.1:$one->{client}";
my $dead = '127.0.0.1:' . free_port();

connect_to($real);
my $lease = verb_is('dcs_grant(60)', 'ok')->{lease};
is(verb("dcs_keepalive($lease)")->{ttl}, 60, 'a lease is kept alive');
verb_is('dcs_keepalive(42)', 'lease gone');
verb_is("dcs_put('v/1', 'eins', $lease, 'v/1', 0)", 'ok', 'a key that must not exist is made');
is(verb_is("dcs_put('v/1', 'zwei', 0, 'v/1', 0)", 'compare failed')->{keys},
	'v/1=eins', 'a transaction that failed tells what is there');
my $revision = verb('dcs_get(\'v/1\', false)')->{revision};
verb_is("dcs_put('v/1', 'drei', 0, 'v/1', $revision, false)", 'ok', 'compared by revision');
verb_is("dcs_put('v/2', 'x', 42)", 'lease gone', 'a key on a lease that does not exist');
verb_is("dcs_put('v/2', 'vier', $lease)", 'ok');
is(verb("dcs_get('v/')")->{keys}, 'v/1=drei v/2=vier', 'all keys of a prefix');
is(verb("dcs_get('v/2', false)")->{keys}, 'v/2=vier', 'one key');
verb_is("dcs_put('v/1', NULL)", 'ok', 'a key is deleted');
verb_is("dcs_revoke($lease)", 'ok');
verb_is("dcs_revoke($lease)", 'lease gone');
is(verb("dcs_get('v/')")->{keys}, '', 'keys go with their lease');
my $value = 'x' x 1_000_000;
verb_is("dcs_put('v/long', repeat('x', 1000000))", 'ok', 'a megabyte is put');
is(length verb("dcs_get('v/long', false)")->{keys}, 7 + 1_000_000, 'and comes back');
verb_is("dcs_put('v/long', repeat('x', 3000000))", 'refused', 'more than etcd takes is refused');
verb_is("dcs_put('v/long', NULL)", 'ok');

$lease = verb('dcs_grant(60)')->{lease};
is(q1("SELECT dcs_revoke_blocking('$dead,$real', 500, 3000, false, NULL, NULL, NULL, NULL, NULL, $lease, 2000)"),
	't', 'a lease is given back without a loop');
verb_is("dcs_keepalive($lease)", 'lease gone');
is(q1("SELECT dcs_revoke_blocking('$dead', 500, 3000, false, NULL, NULL, NULL, NULL, NULL, $lease, 300)"),
	'f', 'nobody confirms, nobody waits');

my ($ret, $out, $err) = $node->psql('postgres', "SELECT dcs_open('http://a:1')");
like($err, qr/invalid endpoint of etcd: "http:\/\/a:1"/, 'an endpoint that is none');
($ret, $out, $err) = $node->psql('postgres', "SELECT dcs_open(' , ')");
like($err, qr/no endpoint of etcd is set/, 'no endpoint');
($ret, $out, $err) =
  $node->psql('postgres', "SELECT dcs_open('$real'); SELECT dcs_throw(); SELECT status FROM dcs_grant(5)",
	on_error_stop => 0);
like("$out$err", qr/thrown by a callback/, 'a callback throws');
like($out, qr/^ok$/m, 'the store works after that');

#-----------------------------------------------------------------------
# Endpoints that do not work
#-----------------------------------------------------------------------

connect_to("$dead,$real");
verb_is("dcs_put('v/1', 'x')", 'ok', 'a transaction goes on where nothing was sent');
connect_to("nosuchhost.invalid:2379,localhost:$one->{client}", total_timeout => 10000);
verb_is("dcs_put('v/1', 'x')", 'ok', 'a name that cannot be resolved costs nothing but time');
connect_to($dead, total_timeout => 700);
my $outcome = verb_is('dcs_grant(5)', 'unreachable');
cmp_ok($outcome->{ms}, '>=', 690, 'tried for as long as allowed');
cmp_ok($outcome->{ms}, '<', 1500, 'and no longer');
like($outcome->{reason}, qr/^\Q$dead\E: /, 'the reason names the endpoint');

my $fake_port = start_fake();
my $fake = "127.0.0.1:$fake_port";
my %statuses = (
	empty => 'garbage', html => 'garbage', half_json => 'garbage', wrong_types => 'garbage',
	noise => 'garbage', cut_off => 'garbage', cut_chunk => 'garbage', huge => 'garbage',
	nested => 'garbage', hang_up => 'unreachable', silence => 'unreachable', drip => 'unreachable');
foreach my $mode (sort keys %statuses)
{
	spew("$dir/fake", $mode);
	# Short only where the time-out is what shows: the machine may be busy.
	my $patience = $statuses{$mode} eq 'garbage' ? 3000 : 400;
	connect_to($fake, request_timeout => $patience, total_timeout => 800);
	$outcome = verb_is("dcs_get('a')", $statuses{$mode}, "$mode: $statuses{$mode}");
	like($outcome->{reason}, qr/^\Q$fake\E: /, "$mode: the reason names the endpoint");
	cmp_ok($outcome->{ms}, '<', 2000, "$mode: in time");

	connect_to("$fake,$real", request_timeout => $patience);
	$lease = verb_is('dcs_grant(60)', 'ok', "$mode: the next endpoint grants")->{lease};
	connect_to("$fake,$real", request_timeout => $patience);
	is(verb_is("dcs_keepalive($lease)", 'ok', "$mode: the next endpoint keeps the lease")->{ttl}, 60);
	connect_to("$fake,$real", request_timeout => $patience);
	verb_is("dcs_put('once/$mode', 'x')", $statuses{$mode}, "$mode: a transaction is not sent twice");
	is(verb("dcs_get('once/')")->{keys}, '', "$mode: nor done elsewhere");
}
spew("$dir/fake", 'other_lease');
connect_to("$fake", request_timeout => 2000, total_timeout => 800);
verb_is('dcs_keepalive(77)', 'garbage', 'another lease that is gone is not ours');

spew("$dir/fake", 'html');
my $before = log_count(qr/etcd at \Q$fake\E gives answers that make no sense/);
connect_to($fake, total_timeout => 300);
verb("dcs_get('a')") for 1 .. 5;
spew("$dir/fake", 'ok');
verb_is("dcs_get('a')", 'ok', 'the endpoint came to its senses');
is(log_count(qr/etcd at \Q$fake\E gives answers that make no sense/) - $before,
	1, 'the log tells once that it began');
is(log_count(qr/etcd at \Q$fake\E gives answers that make sense again/), 1, 'and once that it ended');

#-----------------------------------------------------------------------
# The watch
#-----------------------------------------------------------------------

sub requests_served
{
	my $metrics = `curl -s http://$real/metrics`;
	my $sum = 0;
	$sum += $1 while $metrics =~ /^grpc_server_started_total\{.*\} (\d+)/mg;
	return $sum;
}

connect_to($real);
verb("dcs_put('w/1', 'eins')");
q1("SELECT dcs_watch('w/')");
events_like(qr/\Areset: w\/1=eins\n\z/, 'a watch begins with all there is');
etcdctl($one, 'put', 'w/2', 'zwei');
etcdctl($one, 'put', 'elsewhere', 'x');
etcdctl($one, 'del', 'w/1');
my $events = events_like(qr/-w\/1/, 'changes are told');
is($events, "events: w/2=zwei\nevents: -w/1\n", 'in order, and no others');

my $served = requests_served();
q1('SELECT dcs_events(6000)');
cmp_ok(requests_served() - $served, '<=', 4, 'an idle watch asks once each two seconds at most');

stop_pid($one->{pid});
events_like(qr/\Adisconnected\n\z/, 'the stream broke');
start_etcd($etcd, 'one');
ok(etcd_ready($one), 'etcd is back');
etcdctl($one, 'put', 'w/3', 'drei');
$events = events_like(qr/w\/3/, 'the watch goes on');
is($events, "connected\nevents: w/3=drei\n", 'where it was');

# The client sleeps while its stream breaks and history goes.
stop_pid($one->{pid});
start_etcd($etcd, 'one');
etcd_ready($one);
etcdctl($one, 'put', 'w/4', 'vier');
my ($now) = etcdctl($one, 'put', 'w/4', 'vier!', '-w', 'json') =~ /"revision":(\d+)/;
etcdctl($one, 'compaction', $now);
$events = events_like(qr/reset/, 'history is gone');
like($events, qr/reset: w\/2=zwei w\/3=drei w\/4=vier!\n\z/, 'all is told anew');
etcdctl($one, 'put', 'w/5', 'x');
events_like(qr/\Aevents: w\/5=x\n\z/, 'and the watch goes on');

# Another store, with another history, at the same address.
stop_pid($one->{pid});
PostgreSQL::Test::Utils::system_log('rm', '-rf', "$dir/one");
start_etcd($etcd, 'one');
etcd_ready($one);
etcdctl($one, 'put', 'w/new', 'x');
$events = events_like(qr/reset/, 'the store was replaced');
like($events, qr/reset: w\/new=x\n\z/, 'what was known is forgotten');

#-----------------------------------------------------------------------
# A member that freezes
#-----------------------------------------------------------------------

my $three = new_etcd('m1', 'm2', 'm3');
start_etcd($three, $_) foreach sort keys %$three;
etcd_ready($three->{$_}) foreach sort keys %$three;
my %address = map { $_ => "127.0.0.1:$three->{$_}{client}" } keys %$three;
connect_to(join(',', map { $address{$_} } sort keys %$three));
q1("SELECT dcs_watch('w/')");
events_like(qr/\Areset: \n\z/, 'a watch on three members');
$lease = verb('dcs_grant(60)')->{lease};
kill 'STOP', $three->{m1}{pid};
my $began = time();
$outcome = verb_is("dcs_keepalive($lease)", 'ok', 'a member froze, the lease is kept');
cmp_ok($outcome->{ms}, '<', 5000, 'in time');
$outcome = verb_is("dcs_keepalive($lease)", 'ok');
cmp_ok($outcome->{ms}, '<', 900, 'and again, at once') or diag($outcome->{reason});
etcdctl($three->{m2}, 'put', 'w/1', 'x');
events_like(qr/disconnected\nconnected\nevents: w\/1=x\n/, 'the watch moved to another member');
cmp_ok(time() - $began, '<', 15, 'soon');
kill 'CONT', $three->{m1}{pid};

# Without two of three the last one cannot know, nor can its watch.
ok(etcd_ready($three->{m1}), 'the member is back');
connect_to($address{m1}, total_timeout => 1000);
q1("SELECT dcs_watch('w/')");
events_like(qr/reset/, 'a watch on one member of three');
kill 'STOP', $three->{m2}{pid}, $three->{m3}{pid};
events_like(qr/disconnected/, 'its peers froze: the watch is not connected', 20);
verb_is("dcs_get('w/')", 'unreachable');
kill 'CONT', $three->{m2}{pid}, $three->{m3}{pid};
events_like(qr/connected/, 'they are back', 20);
stop_pid($three->{$_}{pid}) foreach sort keys %$three;

#-----------------------------------------------------------------------
# TLS
#-----------------------------------------------------------------------

sub openssl
{
	my (@args) = @_;
	PostgreSQL::Test::Utils::system_log('openssl', @args) == 0 or die "openssl @args failed";
	return;
}

sub make_ca
{
	my ($name) = @_;
	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
		'-days', '2', '-subj', "/CN=$name", '-keyout', "$dir/$name.key", '-out', "$dir/$name.crt");
	return;
}

sub make_cert
{
	my ($ca, $name, $cn) = @_;
	spew("$dir/$name.ext", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
	openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
		'-subj', "/CN=$cn", '-keyout', "$dir/$name.key", '-out', "$dir/$name.csr");
	openssl('x509', '-req', '-days', '2', '-in', "$dir/$name.csr", '-CA', "$dir/$ca.crt",
		'-CAkey', "$dir/$ca.key", '-CAcreateserial', '-extfile', "$dir/$name.ext", '-out', "$dir/$name.crt");
	return;
}

make_ca('ca');
make_ca('strangers');
make_cert('ca', 'server', 'server');
make_cert('ca', 'client', 'client');
make_cert('strangers', 'forger', 'client');

my $secure = new_etcd('secure');
my $tls = $secure->{secure};
$tls->{tls} = 1;
$tls->{args} = [ '--cert-file', "$dir/server.crt", '--key-file', "$dir/server.key",
	'--trusted-ca-file', "$dir/ca.crt", '--client-cert-auth' ];
$tls->{flags} = [ '--cacert', "$dir/ca.crt", '--cert', "$dir/client.crt", '--key', "$dir/client.key" ];
start_etcd($secure, 'secure');
ok(etcd_ready($tls), 'an etcd with TLS runs');
my $tls_address = "127.0.0.1:$tls->{client}";
my @tls = (tls => 'true', total_timeout => 1000, request_timeout => 600, cacert => "$dir/ca.crt");

connect_to($tls_address, @tls, cert => "$dir/client.crt", key => "$dir/client.key");
$lease = verb_is('dcs_grant(60)', 'ok', 'TLS with a client certificate')->{lease};
connect_to($tls_address, @tls);
verb_is('dcs_grant(5)', 'unreachable', 'no client certificate');
connect_to($tls_address, @tls, cert => "$dir/forger.crt", key => "$dir/forger.key");
verb_is('dcs_grant(5)', 'unreachable', 'a client certificate of strangers');
connect_to($tls_address, @tls, cacert => "$dir/strangers.crt", cert => "$dir/client.crt", key => "$dir/client.key");
like(verb_is('dcs_grant(5)', 'unreachable', 'a server of strangers')->{reason},
	qr/certificate/, 'the reason says so');
is(q1("SELECT dcs_revoke_blocking('$tls_address', 500, 3000, true, '$dir/ca.crt', '$dir/client.crt', '$dir/client.key', NULL, NULL, $lease, 2000)"),
	't', 'a lease is given back with TLS');

# Files that change under the same names count after the next reconfiguration.
PostgreSQL::Test::Utils::system_log("cp $dir/forger.crt $dir/x.crt; cp $dir/forger.key $dir/x.key; cp $dir/strangers.crt $dir/xca.crt");
my $x = "'$tls_address', 600, 1000, true, '$dir/xca.crt', '$dir/x.crt', '$dir/x.key'";
connect_to($tls_address, @tls, cacert => "$dir/xca.crt", cert => "$dir/x.crt", key => "$dir/x.key");
verb_is('dcs_grant(5)', 'unreachable', 'the wrong files');
PostgreSQL::Test::Utils::system_log("cp $dir/client.crt $dir/x.crt; cp $dir/client.key $dir/x.key; cp $dir/ca.crt $dir/xca.crt");
q1("SELECT dcs_open($x)");
verb_is('dcs_grant(5)', 'ok', 'the right files under the same names');
q1("SELECT dcs_watch('w/')");
events_like(qr/reset/, 'a watch with TLS');
PostgreSQL::Test::Utils::system_log("cp $dir/forger.crt $dir/x.crt; cp $dir/forger.key $dir/x.key");
q1("SELECT dcs_open($x)");
verb_is('dcs_grant(5)', 'unreachable', 'wrong files again');
stop_pid($tls->{pid});

#-----------------------------------------------------------------------
# User and password
#-----------------------------------------------------------------------

my @root = ('--user', 'root:r00t');
etcdctl($one, 'user', 'add', 'root:r00t');
etcdctl($one, 'user', 'grant-role', 'root', 'root');
etcdctl($one, 'user', 'add', 'member:tell "no" one');
etcdctl($one, 'role', 'add', 'member');
etcdctl($one, 'role', 'grant-permission', 'member', '--prefix=true', 'readwrite', 'w/');
etcdctl($one, 'user', 'grant-role', 'member', 'member');
spew("$dir/password", "tell \"no\" one\n");
connect_to($real, username => 'member', password_file => "$dir/password");
verb_is("dcs_get('w/')", 'ok', 'a user, but etcd does not ask');
etcdctl($one, 'auth', 'enable');
verb_is("dcs_get('w/')", 'ok', 'now it does');
$lease = verb_is('dcs_grant(60)', 'ok')->{lease};
verb_is("dcs_keepalive($lease)", 'ok');
like(verb_is("dcs_put('x/1', 'x')", 'refused', 'what the user may not')->{reason}, qr/permission denied/);
q1("SELECT dcs_watch('w/')");
events_like(qr/reset/, 'a watch with a user');
$one->{flags} = \@root;
# Tokens live in etcd's memory.
stop_pid($one->{pid});
start_etcd($etcd, 'one');
ok(etcd_ready($one), 'etcd forgot its tokens');
verb_is("dcs_put('w/auth', 'x', $lease)", 'ok', 'a new token is fetched');
events_like(qr/w\/auth=x/, 'by the watch too');
is(q1("SELECT dcs_revoke_blocking('$real', 500, 3000, false, NULL, NULL, NULL, 'member', '$dir/password', $lease, 2000)"),
	't', 'a lease is given back with a password');
connect_to($real);
verb_is("dcs_get('w/')", 'refused', 'no user');
connect_to($real, username => 'member', password_file => "$dir/nosuchfile");
like(verb_is("dcs_get('w/')", 'refused', 'no password')->{reason}, qr/could not open password file/);
spew("$dir/wrong", "wrong-secret\n");
connect_to($real, username => 'member', password_file => "$dir/wrong");
like(verb_is("dcs_get('w/')", 'refused', 'a wrong password')->{reason}, qr/authentication failed/);
spew("$dir/wrong", "tell \"no\" one\n");
verb_is("dcs_get('w/')", 'ok', 'the file was put right');

$session->quit;
unlike(slurp($node->logfile), qr/tell "no" one|wrong-secret/, 'no password in the log');
unlike(slurp($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'no crash');
$node->stop;
done_testing();
