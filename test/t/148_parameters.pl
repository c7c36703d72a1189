# PostgreSQL parameters of a whole group: applied on every member without a
# connection, in the order that standbys need, and taken back.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 2 }, dcs => { ttl => 2 }, settings => { max_wal_size => '800MB' });
$c->start;
my $leader = $c->leader(0);
my ($standby) = grep { $_ ne $leader } $c->members(0);

sub set_parameters
{
	my ($json) = @_;

	return $c->sql($standby, qq{SELECT cluster_set_config('{"postgresql": {"parameters": $json}}')});
}

sub refused
{
	my ($json, $pattern, $what) = @_;
	my ($status, undef, $err) = $c->try_sql($leader, qq{SELECT cluster_set_config('{"postgresql": {"parameters": $json}}')},
		args => [ '-v', 'VERBOSITY=verbose' ]);

	isnt($status, 0, "$what: refused");
	like($err, $pattern, "$what: why");
	return;
}

sub shows
{
	my ($name, $setting, $value) = @_;

	ok($c->poll($name, "SHOW $setting", $value), "$setting is $value on $name") or diag(PgCluster::tail($c->node($name)->{log}));
	return;
}

sub pending
{
	my ($name, $is) = @_;

	ok($c->poll($standby, "SELECT pending_restart FROM cluster_status() WHERE member = '$name'", $is), "$name: pending_restart is $is");
	return;
}

# Applied everywhere, and taken back.
set_parameters(q({"work_mem": "9MB", "log_min_duration_statement": 1234, "jit": false, "log_line_prefix": "%m it''s \\\\ %p "}));
shows($_, 'work_mem', '9MB') foreach $leader, $standby;
is($c->sql($standby, 'SHOW log_line_prefix'), q(%m it's \\ %p ), 'quotes are kept');
is($c->sql($leader, 'SHOW jit'), 'off', 'a flag');
set_parameters('{"work_mem": null, "jit": true, "log_line_prefix": null}');
shows($_, 'work_mem', '4MB') foreach $leader, $standby;

# A member's own settings win.
set_parameters('{"work_mem": "9MB", "max_wal_size": "900MB"}');
shows($standby, 'work_mem', '9MB');
is($c->sql($standby, 'SHOW max_wal_size'), '800MB', 'what pgcluster_node was given wins');
$c->sql($leader, 'ALTER SYSTEM SET work_mem = \'11MB\'; SELECT pg_reload_conf()');
shows($leader, 'work_mem', '11MB');
$c->sql($leader, 'ALTER SYSTEM RESET work_mem; SELECT pg_reload_conf()');
shows($leader, 'work_mem', '9MB');

# What the server does not take, and what does harm.
refused('{"work_mem": "lots"}', qr/22023: .*invalid value for parameter "work_mem"/s, 'a value that makes no sense');
refused('{"no_such_thing": 1}', qr/22023: .*unrecognized configuration parameter "no_such_thing"/s, 'an unknown parameter');
refused('{"block_size": 4096}', qr/22023: .*cannot be changed/s, 'a constant');
refused('{"port": 1}', qr/22023: .*"port" cannot be set for the group/s, 'what belongs to a server');
refused('{"primary_conninfo": ""}', qr/22023: .*sets it itself/s, 'what pgcluster sets');
refused('{"wal_level": "minimal"}', qr/22023: .*Standbys need/s, 'what keeps standbys out');
refused('{"shared_preload_libraries": "auto_explain"}', qr/22023: .*has to hold pgcluster/s, 'what keeps pgcluster out');
refused('{"work_mem": {}}', qr/22023: .*invalid value for parameter/s, 'an object');

# Somebody writes such a value past the check: it is left out.
my $document = JSON::PP::decode_json($c->{store}->get($c->key(0, 'config')));
$document->{postgresql}{parameters} = { work_mem => '10MB', no_such_thing => 1, maintenance_work_mem => 'x' };
$c->{store}->put($c->key(0, 'config'), JSON::PP::encode_json($document));
shows($_, 'work_mem', '10MB') foreach $leader, $standby;
is($c->sql($leader, "SELECT count(*) FROM cluster_events() WHERE decision = 'parameter left out'"), '2', 'what is left out is told of');
set_parameters('{"no_such_thing": null, "maintenance_work_mem": null}');

# A larger max_connections: the standby first.
my $epoch = $c->sql($leader, 'SELECT epoch FROM cluster_leader()');
my $had = $c->sql($leader, 'SHOW max_connections');
my $more = $had + 20;
set_parameters("{\"max_connections\": $more}");
pending($leader, 't');
pending($standby, 't');
my $member = JSON::PP::decode_json($c->{store}->get($c->key(0, "members/$leader")));
is($member->{pending_restart_reason}{max_connections}{new_value}, $more, 'what waits for the restart is told');
is($c->sql($leader, q{SELECT ok FROM cluster_check() WHERE check_name = 'pending restart' AND detail ~ 'max_connections'}), 'f', 'also by cluster_check()');
my (undef, undef, $err) = $c->try_sql($standby, "SELECT cluster_restart('$leader')");
like($err, qr/member "$standby" has to be restarted before, for a larger max_connections/, 'not the leader first');
$c->sql($leader, "SELECT cluster_restart('$standby', only_pending => true)");
shows($standby, 'max_connections', $more);
$c->wait_streaming($standby);
pending($standby, 'f');
$c->sql($standby, "SELECT cluster_restart('$leader', only_pending => true)");
shows($leader, 'max_connections', $more);
pending($leader, 'f');
$c->wait_ready(0);

# A smaller one: a standby that is restarted too soon starts all the same.
my $less = $had - 10;
set_parameters("{\"max_connections\": $less}");
pending($leader, 't');
$c->sql($leader, "SELECT cluster_restart('$standby')");
shows($standby, 'max_connections', $more);
pending($standby, 't');
$c->wait_streaming($standby);
$c->sql($standby, "SELECT cluster_restart('$leader')");
shows($leader, 'max_connections', $less);
is($c->new_leader(0, undef), $leader, 'the leader leads on');
is($c->sql($leader, 'SELECT epoch FROM cluster_leader()'), $epoch, 'in the same epoch');
pending($leader, 'f');
$c->wait_streaming($standby);
$c->sql($leader, 'CREATE TABLE after_less AS SELECT 1');
$c->sql($leader, "SELECT cluster_restart('$standby')");
shows($standby, 'max_connections', $less);
pending($standby, 'f');
$c->wait_ready(0);

# The former leader takes connections as a standby too.
$c->sql($leader, 'SELECT cluster_switchover()');
is($c->new_leader(0, $leader), $standby, 'the other one leads');
$c->wait_streaming($leader);
is($c->sql($leader, 'SHOW hot_standby'), 'on', 'the former leader is a hot standby');

# One that keeps a server from starting does so three times; then the server
# comes up without, and still wants it.
$c->sql($standby, q{SELECT cluster_set_config('{"postgresql": {"parameters": {"shared_preload_libraries": "pgcluster,no_such_library"}}}')});
ok($c->poll($standby, "SELECT pending_restart FROM cluster_status() WHERE member = '$leader'"), 'a library that is not there waits for a restart');
$c->sql($standby, "SELECT cluster_restart('$leader')");
is($c->sql($leader, 'SHOW shared_preload_libraries'), 'pgcluster', 'a server that cannot start with it comes up without');
ok($c->poll($standby, "SELECT pending_restart FROM cluster_status() WHERE member = '$leader'"), 'and shows that it waits again');
$c->sql($standby, q{SELECT cluster_set_config('{"postgresql": {"parameters": {"shared_preload_libraries": null}}}')});
ok($c->poll($leader, q{SELECT count(*) = 0 FROM cluster_check() WHERE detail ~ 'no_such_library'}), 'until it is taken back');
$c->sql($standby, "SELECT cluster_restart('$leader')");
pending($leader, 'f');

$c->stop;
done_testing();
