# A whole group behind a proxy that turns etcd's answers into nonsense: a
# lease that is still valid is not lost, whatever comes in, and one that ran
# out is taken again by its holder.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use PgCluster;
use PgCluster::Session;
use Test::More;
use Time::HiRes qw(sleep);

my $c = PgCluster->new(groups => { 0 => 2 }, dcs => { ttl => 6 });
my $mode_file = "$c->{dir}/mode";
my $proxy_pid;

END { kill 'KILL', $proxy_pid if $proxy_pid; }

#-----------------------------------------------------------------------
# The proxy
#-----------------------------------------------------------------------

# What becomes of a piece of an answer: new text, and whether to go on then.
my %modes = (
	pass => sub { return ($_[0], 1); },
	noise => sub { return (join('', map { chr(int(rand(256))) } 1 .. 3000), 0); },
	html => sub { return ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<hi>", 0); },
	halves => sub { return (substr($_[0], 0, length($_[0]) - 20), 0); },
	huge => sub { return ("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n{" . (' ' x 8999999), 0); },
	refusal => sub {
		my $body = '{"error":"etcdserver: permission denied","code":7}';
		return ("HTTP/1.1 403 Forbidden\r\nContent-Length: " . length($body) . "\r\n\r\n$body", 0);
	},
	silence => sub { return ('', 1); });

sub set_mode
{
	PgCluster::write_file("$mode_file.new", $_[0]);
	rename("$mode_file.new", $mode_file) or die "could not set the mode: $!";
	return;
}

sub relay
{
	my ($client, $etcd_port) = @_;
	my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $etcd_port) or return;
	my $select = IO::Select->new($client, $server);

	while (1)
	{
		foreach my $from ($select->can_read)
		{
			my $bytes;
			sysread($from, $bytes, 65536) or return;
			my ($text, $more) = ($bytes, 1);
			($text, $more) = $modes{ PgCluster::read_file($mode_file) }->($bytes) if $from == $server;
			my $to = $from == $server ? $client : $server;
			while (length $text)
			{
				my $sent = syswrite($to, $text) or return;
				substr($text, 0, $sent, '');
			}
			return unless $more;
		}
	}
}

sub start_proxy
{
	my ($etcd_port) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50) or die "listen: $!";

	$proxy_pid = fork() // die "fork: $!";
	return $listener->sockport if $proxy_pid;
	$SIG{CHLD} = $SIG{PIPE} = 'IGNORE';
	my $parent = getppid();
	while (getppid() == $parent)
	{
		my $client = IO::Select->new($listener)->can_read(1) && $listener->accept or next;
		if (!fork())
		{
			# Gone with the proxy, however that ends.
			relay($client, $etcd_port);
			POSIX::_exit(0);
		}
		close $client;
	}
	POSIX::_exit(0);
}

set_mode('pass');
my $proxy = '127.0.0.1:' . start_proxy($c->{store}{members}[0]{client});
{
	no warnings 'redefine';
	*PgCluster::Etcd::endpoints = sub { return $proxy; };
}

#-----------------------------------------------------------------------
# The group
#-----------------------------------------------------------------------

$c->start;
my $leader = $c->leader(0);
$c->sql($leader, 'CREATE TABLE t (a text)');
my $session = PgCluster::Session->new($c, $leader);
my $agent = $c->agent_pid($leader);

sub epoch { return $c->sql($leader, 'SELECT epoch FROM cluster_lease()'); }

sub expires_in { return $c->sql($leader, q{SELECT coalesce(extract(epoch FROM expires_in), 0) FROM cluster_lease()}); }

my $epoch = epoch();

foreach my $mode (grep { $_ ne 'pass' } sort keys %modes)
{
	ok(PgCluster::wait_until(sub { expires_in() > 4.5 }), "$mode: the lease is fresh");
	set_mode($mode);
	ok(PgCluster::wait_until(sub { expires_in() < 2.5 }), "$mode: the lease is not renewed");
	is($session->run("INSERT INTO t VALUES ('$mode')"), '', "$mode: yet commits go on");
	set_mode('pass');
	ok(PgCluster::wait_until(sub { expires_in() > 4.5 }), "$mode: it is renewed in time");
	is(epoch(), $epoch, "$mode: the leadership is the same");
	is($c->agent_pid($leader), $agent, "$mode: the agent is the same");
}

# Longer than the lease lasts: nobody else can take it either.
set_mode('noise');
ok($c->poll($leader, 'SELECT fenced FROM cluster_lease()'), 'the lease ran out, the fence is shut');
$session->send("INSERT INTO t VALUES ('late')");
set_mode('pass');
is($session->wait, '', 'a commit that waited goes through when etcd can be understood again');
is($c->leader(0), $leader, 'under the same leader');
is($c->agent_pid($leader), $agent, 'and the same agent');
is($c->sql($leader, 'SELECT count(*) FROM t'), scalar keys %modes, 'every row is there');

my $log = PgCluster::read_file($c->node($leader)->{log});
my $told = () = $log =~ /etcd at \Q$proxy\E/g;
cmp_ok($told, '<', 60, 'the log is not flooded');
like($log, qr/etcd at \Q$proxy\E gives answers that make no sense/, 'and tells what was wrong');
unlike($log, qr/terminated by signal|PANIC|TRAP/, 'nothing crashed');

$session->close;
$c->stop;
done_testing();
