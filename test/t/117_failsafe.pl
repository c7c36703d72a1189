# Without etcd the leader goes on as long as every member confirms it, and no
# longer; and nobody else leads before it has stopped.
use strict;
use warnings;

use HTTP::Tiny;
use PgCluster;
use Test::More;
use Time::HiRes qw(time sleep);

my $ttl = 3;
my $c = PgCluster->new(groups => { 0 => 3 }, dcs => { ttl => $ttl, failsafe_mode => JSON::PP::true });
my %port = map { $_ => PgCluster::free_port() } $c->members(0);
$c->node($_)->{settings} = { 'pgcluster.http_port' => $port{$_} } foreach $c->members(0);
$c->start;

my $leader = $c->leader(0);
my @standbys = grep { $_ ne $leader } $c->members(0);
my $key = $c->key(0, 'failsafe');

sub listed
{
	my $value = $c->{store}->get($key);

	return defined $value ? join(',', sort keys %{ JSON::PP::decode_json($value) }) : '';
}

sub events
{
	my ($name, $word) = @_;

	return $c->sql($name, "SELECT count(*) FROM cluster_events() WHERE decision = 'failsafe' AND reason LIKE '%$word%'");
}

# Has a member ask for etcd elsewhere.
sub ask_at
{
	my ($name, $endpoints) = @_;

	# A primary that is fenced, or a standby, takes no ALTER SYSTEM of a client.
	my $file = $c->node($name)->{data} . '/postgresql.conf';
	PgCluster::append_file($file, "pgcluster.etcd_endpoints = '$endpoints'\n");
	kill 'HUP', $c->postmaster_pid($name);
	return;
}

my $all = join ',', sort $c->members(0);
ok(PgCluster::wait_until(sub { listed() eq $all }), 'the key names all members') or diag(listed());
is(JSON::PP::decode_json($c->{store}->get($key))->{$leader},
	"http://127.0.0.1:$port{$leader}/patroni", 'and where their HTTP servers are');

# A member that has just started confirms nobody.
$c->poll($_, qq(SELECT clock_timestamp() > pg_postmaster_start_time() + interval '1 second' * ($ttl + 1))) foreach $c->members(0);

my $writer = $c->writer(0, rate => 50);
PgCluster::wait_until(sub { $writer->acknowledged > 20 }) or BAIL_OUT('the writer does not write');

# etcd is gone for several times the ttl.
my $start = time();
$c->{store}->stop('KILL');
ok(PgCluster::wait_until(sub { events($leader, 'all members confirm') > 0 }), 'all members confirm the leader');
PgCluster::wait_until(sub { time() - $start > 4 * $ttl }, 10 * $ttl);
is($c->sql($leader, 'SELECT fenced FROM cluster_lease()'), 'f', 'the fence is open after four times the ttl');
foreach my $name ($c->members(0))
{
	my $http = HTTP::Tiny->new(timeout => 5);
	my $path = $name eq $leader ? 'primary' : 'replica';
	my $answer = $http->get("http://127.0.0.1:$port{$name}/$path");

	is($answer->{status}, 200, "$name is still a $path");
	like($answer->{content}, qr/"failsafe_mode_is_active":true/, '... and says how');
}
$c->{store}->start;
ok(PgCluster::wait_until(sub { events($leader, 'answers again') > 0 }), 'etcd answers again');
my $count = $writer->acknowledged;
PgCluster::wait_until(sub { $writer->acknowledged > $count + 20 });
is($c->leader(0), $leader, 'the same member leads');
my @rows = $writer->acknowledged;
my $gap = PgCluster::Writer::longest_gap($start, @rows);
cmp_ok($gap, '<', $ttl, sprintf('the writer waited %.2f s', $gap));
is(scalar(grep { $_->{port} != $c->node($leader)->{port} } @rows), 0, 'and never went elsewhere');
$c->wait_ready(0);

# The leader alone is cut off: those who hear from etcd do not confirm it for long.
{
	my $cut = time();
	ask_at($leader, '127.0.0.1:1');
	my $new = $c->new_leader(0, $leader);
	isnt($new, $leader, 'a leader that is cut off alone is replaced');
	my $took_over = time();
	my $port = $c->node($new)->{port};
	ok(PgCluster::wait_until(
			sub { my @r = $writer->acknowledged; $r[-1]{port} == $port && $r[-1]{at} > $took_over }), 'the writer goes on');
	ask_at($leader, $c->{store}->endpoints);
	$c->wait_streaming($leader);
	@rows = $writer->acknowledged;
	is(scalar(grep { $_->{at} > $took_over && $_->{port} != $port } @rows), 0,
		'the old leader acknowledged nothing once another one led');
	$leader = $new;
	@standbys = grep { $_ ne $leader } $c->members(0);
}

# One member does not answer: the leader stops when its lease is over.
$c->wait_ready(0);
ok(PgCluster::wait_until(sub { listed() eq $all }), 'the key names all members again');
{
	my @stopped = PgCluster::process_tree($c->postmaster_pid($standbys[0]));

	kill 'STOP', @stopped;
	$c->{store}->stop('KILL');
	ok($c->poll($leader, 'SELECT fenced FROM cluster_lease()'), 'without the word of one member the fence closes');
	kill 'CONT', @stopped;
	$c->{store}->start;
	$c->wait_ready(0);
	$count = $writer->acknowledged;
	ok(PgCluster::wait_until(sub { $writer->acknowledged > $count + 20 }), 'the writer goes on when all is well');
}

@rows = $writer->stop;
is(scalar $c->lost_rows(0, $writer, @rows), 0, 'no acknowledged row of ' . @rows . ' is missing');

# Off again.
$c->{store}->put($c->key(0, 'config'), qq({"ttl": $ttl}));
ok(PgCluster::wait_until(sub { listed() eq '' }), 'without failsafe_mode there is no key');
$c->stop;
done_testing();
