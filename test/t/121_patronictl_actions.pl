# patronictl, made for Patroni, changes the cluster unmodified.
use strict;
use warnings;

use HTTP::Tiny;
use PgCluster;
use Test::More;

my ($patronictl) = grep { -x } map { "$_/patronictl" } split /:/, $ENV{PATH} . ':/usr/bin';
plan skip_all => 'there is no patronictl' unless $patronictl;

my $c = PgCluster->new(groups => { -1 => 3 }, dcs => { loop_wait => 1 });
my %port = map { $_ => PgCluster::free_port() } $c->members(-1);
$c->{passfile} = "$c->{dir}/passfile";
PgCluster::write_file("$c->{dir}/http-password", "secret\n");
chmod 0600, "$c->{dir}/http-password";
$c->{settings} = {
	'pgcluster.http_auth_username' => 'admin',
	'pgcluster.http_auth_password_file' => "$c->{dir}/http-password" };
$c->node($_)->{settings} = { 'pgcluster.http_port' => $port{$_} } foreach $c->members(-1);
$c->start;

my $config = "$c->{dir}/p.yml";
PgCluster::write_file($config, <<"END");
scope: $c->{scope}
namespace: /service/
etcd3:
  hosts: @{[ $c->{store}->endpoints ]}
restapi:
  authentication:
    username: admin
    password: secret
ctl:
  authentication:
    username: admin
    password: secret
END
my $http = HTTP::Tiny->new(timeout => 20, keep_alive => 0);

# Output of a command, both streams, which must succeed.
sub ctl
{
	my (@arguments) = @_;
	my ($status, $out, $err) = $c->try_run('/usr/bin/env', 'LC_ALL=C.UTF-8', $patronictl, '-c', $config, @arguments);

	diag("patronictl @arguments:\n$out$err") if $status != 0;
	return "$out$err";
}

sub ask
{
	my ($name, $path, $method, $body) = @_;

	return $http->request($method // 'GET', "http://admin:secret\@127.0.0.1:$port{$name}$path", defined $body ? { content => $body } : {});
}

sub leader { return $c->new_leader(-1); }
sub others { my ($l) = @_; return grep { $_ ne $l } $c->members(-1); }
sub member { return JSON::PP::decode_json($c->{store}->get($c->key(-1, "members/$_[0]")) // '{}'); }
sub started { my ($status, $out) = $c->try_sql($_[0], 'SELECT pg_postmaster_start_time()'); return $status == 0 ? $out : 'down'; }
sub configuration { return JSON::PP::decode_json($c->{store}->get($c->key(-1, 'config'))); }

my $leader = leader();
my ($replica, $third) = others($leader);

# Looking
like(ctl('list'), qr/\| $leader\s*\|[^\n]*\| Leader\s*\| running/, 'list');
like(ctl('topology'), qr/\| $leader\s.*\| \+ $replica\s/s, 'topology');
like(ctl('history', 'test'), qr/TL.*LSN.*Reason/, 'history');
like(ctl('show-config', 'test'), qr/^loop_wait: 1$/m, 'show-config');
like(ctl('version', 'test'), qr/$leader: Patroni .* PostgreSQL \d+/, 'version');

# Switchover
like(ctl('switchover', 'test', '--leader', $leader, '--candidate', $replica, '--force'),
	qr/Successfully switched over to "$replica"/, 'switchover to a candidate');
is(leader(), $replica, '... which leads');
$c->wait_ready(-1);
like(ctl('switchover', 'test', '--force'), qr/Successfully switched over to "(?!$replica)/, 'switchover to the best');
$c->wait_ready(-1);
$leader = leader();
($replica, $third) = others($leader);
$c->sql($third, q(ALTER SYSTEM SET pgcluster.tags = '{"nofailover": true}'));
like(ctl('reload', 'test', $third, '--force'), qr/Reload request received for member $third/, 'reload');
ok(PgCluster::wait_until(sub { (member($third)->{tags} // {})->{nofailover} }), '... has settings read');
is(ask($replica, '/switchover', 'POST', qq({"leader":"$leader","candidate":"$third"}))->{status}, 412, 'who must not lead cannot be switched to');
$c->sql($third, 'ALTER SYSTEM RESET pgcluster.tags');
ctl('reload', 'test', $third, '--force');
is(ask($replica, '/switchover', 'POST', qq({"leader":"$third"}))->{status}, 412, 'who does not lead cannot be switched from');
is(ask($replica, '/switchover', 'POST', '{"candidate":"x"}')->{status}, 400, 'a switchover without a leader');
is(ask($replica, '/switchover', 'POST', qq({"leader":"$leader","candidate":"nobody"}))->{status}, 412, 'a switchover to nobody');

# Planned
like(ctl('switchover', 'test', '--leader', $leader, '--candidate', $replica, '--scheduled', '2099-01-01T03:00+00', '--force'),
	qr/Switchover scheduled/, 'a switchover that is planned');
like(ctl('list'), qr/Switchover scheduled at: 2099-01-01T03:00.*from: $leader.*to: $replica/s, '... is listed');
ok(PgCluster::wait_until(sub { ask($third, '/cluster')->{content} =~ /"scheduled_switchover":\{"at":"2099-01-01T03:00:00\+00:00","from":"$leader","to":"$replica"\}/ }), '... by all');
is(ask($leader, '/switchover', 'POST', qq({"leader":"$leader","scheduled_at":"2000-01-01T00:00Z"}))->{status}, 422, 'not for the past');
is(ask($leader, '/switchover', 'POST', qq({"leader":"$leader","scheduled_at":"2099-01-01T00:00"}))->{status}, 400, '... nor without a time zone');
like(ctl('flush', 'test', 'switchover', '--force'), qr/^Success/m, 'flush');
is($c->{store}->get($c->key(-1, 'failover')), undef, '... forgets it');
is(ask($leader, '/switchover', 'DELETE')->{status}, 404, 'there is none any more');

# Failover
like(ctl('failover', 'test', '--candidate', $replica, '--force'), qr/Successfully (failed|switched) over to "$replica"/, 'failover');
$c->wait_ready(-1);
$leader = leader();
($replica, $third) = others($leader);
is(ask($third, '/failover', 'POST', '{}')->{status}, 400, 'a failover to nobody');
like(ask($third, '/failover', 'POST', qq({"candidate":"$replica"}))->{content}, qr/^Successfully failed over to "$replica"$/, 'a failover whoever leads');
$c->wait_ready(-1);
$leader = leader();
($replica, $third) = others($leader);

# Configuration
like(ctl('edit-config', 'test', '--set', 'maximum_lag_on_failover=2097152', '--force'), qr/Configuration changed/, 'edit-config');
is(configuration()->{maximum_lag_on_failover}, 2097152, '... changes it');
my $answer = ask($replica, '/config', 'PATCH', '{"maximum_lag_on_failover":null,"primary_start_timeout":60}');
is($answer->{status}, 200, 'PATCH');
is_deeply(JSON::PP::decode_json($answer->{content}), { %{ configuration() } }, '... answers with what it is now');
is(configuration()->{maximum_lag_on_failover}, undef, '... and has taken away');
is(configuration()->{primary_start_timeout}, 60, '... and added');
is(ask($replica, '/config', 'PATCH', '{"ttl":"never"}')->{status}, 400, 'a value that makes no sense');
is(ask($replica, '/config', 'PATCH', 'ttl: 5')->{status}, 400, 'no JSON');
is(ask($replica, '/config', 'PATCH')->{status}, 400, 'nothing');
is(ask($replica, '/config', 'PUT', '{"ttl":5,"loop_wait":1}')->{status}, 200, 'PUT');
is_deeply(configuration(), { ttl => 5, loop_wait => 1 }, '... replaces it');

# Pause
like(ctl('pause', 'test', '--wait'), qr/Success: cluster management is paused/, 'pause');
like(ctl('list'), qr/Maintenance mode: on/, '... is shown');
is(ask($leader, '/switchover', 'POST', qq({"leader":"$leader"}))->{status}, 400, 'without a candidate there is no switchover then');
like(ctl('resume', 'test', '--wait'), qr/Success: cluster management is resumed/, 'resume');

# Restart
my %start = map { $_ => started($_) } $c->members(-1);
like(ctl('restart', 'test', '--role', 'replica', '--pending', '--force'), qr/Failed: restart for member .*no setting waits/, 'no restart is pending');
$c->sql($replica, 'ALTER SYSTEM SET max_files_per_process = 1111');
ctl('reload', 'test', $replica, '--force');
ok(PgCluster::wait_until(sub { member($replica)->{pending_restart} }), 'one is');
like(ctl('list'), qr/Pending restart.*\| $replica [^\n]*\*/s, '... as is listed');
like(ctl('restart', 'test', $replica, '--pending', '--force'), qr/^Success: restart .*on member $replica/m, 'it is done');
ok(PgCluster::wait_until(sub { started($replica) ne $start{$replica} }), '... at once');
$c->wait_ready(-1);
is($c->sql($replica, 'SHOW max_files_per_process'), 1111, '... and changes the setting');
$start{$replica} = started($replica);
like(ctl('restart', 'test', $third, '--pg-version', '9.6.1', '--force'), qr/Failed: restart for member $third.*version/, 'no restart of a newer version');
is(ask($third, '/restart', 'POST', '{"role":"primary"}')->{status}, 503, 'nor of another role');
like(ctl('restart', 'test', '--force'), qr/(^Success: restart .*){3}/ms, 'all are restarted');
foreach my $name ($c->members(-1))
{
	ok(PgCluster::wait_until(sub { started($name) ne $start{$name} }), "$name was");
}
$c->wait_ready(-1);
is(leader(), $leader, 'the leader leads on');
like(ctl('restart', 'test', $third, '--scheduled', '2099-01-01T03:00+00', '--force'), qr/Success: restart scheduled on member $third/, 'a restart that is planned');
ok(PgCluster::wait_until(sub { (member($third)->{scheduled_restart} // {})->{schedule} }), '... is known');
like(ctl('list'), qr/Scheduled restart.*\| $third [^\n]*2099-01-01T03:00/s, '... and listed');
like(ask($third, '/patroni')->{content}, qr/"scheduled_restart":\{"schedule":"2099-01-01T03:00:00\+00:00"\}/, '... and told');
like(ctl('flush', 'test', $third, 'restart', '--force'), qr/Success: flush scheduled restart for member $third/, 'flush');
ok(PgCluster::wait_until(sub { !member($third)->{scheduled_restart} }), '... forgets it');
is(ask($third, '/restart', 'DELETE')->{status}, 404, 'there is none any more');
is(ask($third, '/restart', 'POST', '{"restart_pendin":true}')->{status}, 400, 'a condition that is not known');

# Reinitialize
my $system = sub { return PgCluster::read_file($c->node($_[0])->{data} . '/marker'); };
PgCluster::write_file($c->node($third)->{data} . '/marker', 'former');
like(ctl('reinit', 'test', $third, '--force'), qr/Success: reinitialize for member $third/, 'reinit');
ok(PgCluster::wait_until(sub { $system->($third) eq '' }), '... makes a new clone');
$c->wait_ready(-1);
is(ask($leader, '/reinitialize', 'POST')->{status}, 503, 'not of the leader');

# Without the password
PgCluster::write_file("$c->{dir}/q.yml", "scope: $c->{scope}\nnamespace: /service/\netcd3:\n  hosts: @{[ $c->{store}->endpoints ]}\n");
my (undef, $out, $err) = $c->try_run($patronictl, '-c', "$c->{dir}/q.yml", 'reload', 'test', $replica, '--force');
like("$out$err", qr/Failed: reload for member $replica, status code=401/, 'without the password nothing is done');

$c->stop;
done_testing();
