# Servers are reloaded, restarted and reinitialised by any member's word; a
# leader that is restarted leads on.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 3, 1 => 1 }, dcs => { ttl => 2 });
$c->start;
my $leader = $c->leader(0);
my ($second, $third) = grep { $_ ne $leader } $c->members(0);

sub refused
{
	my ($name, $sql, $pattern, $what) = @_;
	my ($status, undef, $err) = $c->try_sql($name, $sql, args => [ '-v', 'VERBOSITY=verbose' ]);

	isnt($status, 0, "$what: refused");
	like($err, $pattern, "$what: why");
	return;
}

sub started { return $c->sql($_[0], 'SELECT pg_postmaster_start_time()'); }

sub restarted_since
{
	my ($name, $before) = @_;

	return $c->poll($name, "SELECT pg_postmaster_start_time() > '$before'");
}

# Reload.
PgCluster::append_file($c->node($second)->{data} . '/postgresql.conf', "work_mem = '7MB'\n");
$c->sql($third, "SELECT cluster_reload('$second')");
ok($c->poll($second, "SELECT current_setting('work_mem') = '7MB'"), 'one member has another read its files');
$c->sql($leader, "SELECT cluster_reload('w1a', 1)");
pass('also one of another group');
refused($leader, "SELECT cluster_reload('nobody')", qr/42704: .*no member "nobody"/s, 'no such member');

# Restart of a standby, told by another.
my $before = started($second);
$c->sql($third, "SELECT cluster_restart('$second')");
cmp_ok(started($second), 'gt', $before, 'when it returns a standby was restarted');
$c->wait_streaming($second);

# Conditions.
refused($leader, "SELECT cluster_restart('$second', only_role => 'primary')", qr/55000: .*is a replica/s, 'for a primary only');
refused($leader, "SELECT cluster_restart('$second', only_role => 'king')", qr/22023: .*invalid role/s, 'for no role there is');
refused($leader, "SELECT cluster_restart('$second', below_version => '9.6')", qr/55000: .*not below 9.6/s, 'for an older server only');
refused($leader, "SELECT cluster_restart('$second', only_pending => true)", qr/55000: .*no setting waits/s, 'when needed only');

# The leader, told by a standby: it leads on in the same epoch.
my $epoch = $c->sql($leader, 'SELECT epoch FROM cluster_leader()');
my $writer = $c->writer(0);
PgCluster::wait_until(sub { $writer->acknowledged > 20 }) or BAIL_OUT('the writer does not write');
$before = started($leader);
$c->sql($third, "SELECT cluster_restart('$leader')");
cmp_ok(started($leader), 'gt', $before, 'the leader was restarted');
is($c->new_leader(0, undef), $leader, 'it still leads');
is($c->sql($leader, 'SELECT epoch FROM cluster_leader()'), $epoch, 'in the same epoch');
my $seen = $writer->acknowledged;
ok(PgCluster::wait_until(sub { $writer->acknowledged > $seen + 20 }), 'the writer goes on');
my @rows = $writer->stop;
is(scalar $c->lost_rows(0, $writer, @rows), 0, 'no acknowledged row is missing');
note(sprintf('the writer waited %.2f s', PgCluster::Writer::longest_gap($rows[0]{at}, @rows)));
$c->wait_ready(0);

# A session of its own server is told before it ends.
$before = started($leader);
$c->sql($leader, "SELECT cluster_restart('$leader')");
ok(restarted_since($leader, $before), 'a server restarts on the word of its own session');
is($c->new_leader(0, undef), $leader, 'and leads on');
$c->wait_ready(0);

# Planned for later, shown, cancelled, and made.
$c->sql($leader, "SELECT cluster_restart('$second', at => now() + interval '1 hour')");
my $plan = sub { JSON::PP::decode_json($c->{store}->get($c->key(0, "members/$second")))->{scheduled_restart} };
ok(PgCluster::wait_until(sub { $plan->() }), 'a planned restart is shown');
refused($leader, "SELECT cluster_restart('$second', at => now() + interval '1 hour')", qr/55006: .*told so already/s, 'a second plan');
$c->sql($leader, "SELECT cluster_cancel_restart('$second')");
ok(PgCluster::wait_until(sub { !$plan->() }), 'a cancelled one is not');
refused($leader, "SELECT cluster_cancel_restart('$second')", qr/42704: .*no restart/s, 'nothing to cancel');
$before = started($second);
$c->sql($leader, "SELECT cluster_restart('$second', at => now() + interval '1 second')");
ok(restarted_since($second, $before), 'what is planned happens');
$c->wait_streaming($second);

# An order outlives the agent that was asked, and is carried out once.
$before = started($second);
my $frozen = $c->agent_pid($second);
kill 'STOP', $frozen;
my $pid = $c->spawn("$c->{dir}/order", "$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo($third), '-c', "SELECT cluster_restart('$second')");
ok(PgCluster::wait_until(sub { ($c->{store}->get($c->key(0, "orders/$second/restart")) // '') =~ /"asked"/ }), 'the order is given');
my $asked = $c->agent_pid($third);
kill 'TERM', $asked;
ok(PgCluster::wait_until(sub { my $agent = $c->agent_pid($third); defined $agent && $agent != $asked }), 'the agent that was asked is replaced');
kill 'CONT', $frozen;
waitpid($pid, 0);
is($?, 0, 'who asked through an agent that ended hears of it') or diag(PgCluster::read_file("$c->{dir}/order"));
ok(restarted_since($second, $before), 'the server comes back');
my $once = started($second);
cmp_ok($once, 'gt', $before, 'it is carried out');
$c->wait_streaming($second);
is(started($second), $once, 'once');

# A reinitialised member has nothing of its own left.
refused($third, "SELECT cluster_reinitialize('$leader')", qr/55000: .*leads its group/s, 'reinitialising the leader');
my $mark = $c->node($second)->{data} . '/base/own_file';
PgCluster::write_file($mark, 'own');
$c->sql($third, "SELECT cluster_reinitialize('$second')");
ok(PgCluster::wait_until(sub { !-e $mark }), 'a reinitialised member was cloned anew');
$c->wait_streaming($second);

# Who gives up waiting takes the order back.
$before = started($second);
$frozen = $c->agent_pid($second);
kill 'STOP', $frozen;
refused($third, "SET statement_timeout = '500ms'; SELECT cluster_restart('$second')", qr/57014/, 'an order nobody takes');
ok(PgCluster::wait_until(sub { !defined $c->{store}->get($c->key(0, "orders/$second/restart")) }), 'it is taken back');
kill 'CONT', $frozen;
$c->sql($third, "SELECT cluster_reload('$second')");
is(started($second), $before, 'and not carried out');

# The agent that is told is killed before it has heard: the next one hears.
$before = started($second);
$frozen = $c->agent_pid($second);
kill 'STOP', $frozen;
$pid = $c->spawn("$c->{dir}/order3", "$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo($third), '-c', "SELECT cluster_restart('$second')");
ok(PgCluster::wait_until(sub { ($c->{store}->get($c->key(0, "orders/$second/restart")) // '') =~ /"asked"/ }), 'another order is given');
kill 'KILL', $frozen;
waitpid($pid, 0);
is($?, 0, 'an order reaches the next agent of its member') or diag(PgCluster::read_file("$c->{dir}/order3"));
ok(restarted_since($second, $before), 'which carries it out');
$c->wait_streaming($second);

# The leader's machine dies in the middle of a restart: another member leads, and
# the order is not carried out once more.
$pid = $c->spawn("$c->{dir}/order4", "$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo($third), '-c', "SELECT cluster_restart('$leader')");
ok(PgCluster::wait_until(sub { ($c->{store}->get($c->key(0, "orders/$leader/restart")) // '') =~ /"taken"/ }), 'the leader begins to restart');
$c->kill_all($leader);
isnt($c->new_leader(0, $leader), $leader, 'another member leads when it dies meanwhile');
$c->start_node($leader);
$c->wait_streaming($leader);
waitpid($pid, 0);
is($?, 0, 'who asked hears when it is back') or diag(PgCluster::read_file("$c->{dir}/order4"));
my $successor = $c->leader(0);
$c->sql(0, "SELECT cluster_switchover('$leader')");
is($c->new_leader(0, $successor), $leader, 'it leads again');
$c->wait_ready(0);

# A leader that does not come back from its restart is replaced.
PgCluster::append_file($c->node($leader)->{data} . '/postgresql.conf', "no_such_setting = 1\n");
$pid = $c->spawn("$c->{dir}/order2", "$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo($third), '-c', "SELECT cluster_restart('$leader')");
isnt($c->new_leader(0, $leader), $leader, 'a leader that cannot start again is replaced');
kill 'TERM', $pid;
waitpid($pid, 0);

$c->stop;
done_testing();
