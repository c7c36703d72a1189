# pgcluster_node makes members, keeps their servers running, and leaves
# nothing behind.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 3 });
my $node_program = "$c->{bindir}/pgcluster_node";

# All three start at once on empty directories: one initialises, two clone.
$c->start;
my %identifiers = map { $c->sql($_, 'SELECT system_identifier FROM pg_control_system()') => 1 }
  $c->node_names;
is(scalar keys %identifiers, 1, 'one member initialised the group, the others cloned it');
is_deeply([ keys %identifiers ], [ $c->{store}->get($c->key(0, 'initialize')) ],
	'the system identifier is in etcd');

my $leader = $c->leader(0);
my ($standby, $other) = grep { $_ ne $leader } $c->members(0);
is($c->sql($leader, 'SHOW data_checksums'), 'on', 'pages have checksums');
is($c->sql($leader, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method NOT IN ('peer', 'scram-sha-256')"),
	'0', 'nobody gets in over the network without a password');
is($c->sql($leader, 'SELECT count(*) FROM cluster_status()'), '3', 'the extension is there at once');
is(sprintf('%o', (stat $c->{passfile})[2] & 0777), '600', 'the password file is for its owner alone');

{
	my ($status, undef, $err) = $c->try_run("$c->{bindir}/psql", '-XAtqw',
		'-d', "host=127.0.0.1 port=" . $c->node($leader)->{port} . ' user=postgres dbname=postgres passfile=/nonexistent',
		'-c', 'SELECT 1');
	isnt($status, 0, 'a password is needed over the network');
	like($err, qr/password/, 'and the refusal says so');
}

# No password in any command line, log or key.
{
	my ($password) = PgCluster::read_file($c->{passfile}) =~ /([0-9a-f]{20,})/;
	my $seen = 0;

	foreach my $file (glob('/proc/[0-9]*/cmdline'), map { $_->{log} } values %{ $c->{nodes} })
	{
		$seen++ if index(PgCluster::read_file($file), $password) >= 0;
	}
	is($seen, 0, 'the password appears in no command line and no log');
}

# Two parents for one directory are impossible.
{
	my ($status, undef, $err) = $c->try_run($node_program, 'run', '-D', $c->node($leader)->{data},
		'--scope', 'test', '--name', 'x', '--etcd', $c->{store}->endpoints);
	isnt($status, 0, 'a second parent is refused');
	like($err, qr/another pgcluster_node is at work/, 'with the reason');
}

# A directory with something else in it is not touched.
{
	my $dir = "$c->{dir}/foreign";
	mkdir $dir;
	PgCluster::write_file("$dir/letter", 'dear');
	my ($status, undef, $err) = $c->try_run($node_program, 'run', '-D', $dir,
		'--scope', 'test', '--name', 'x', '--etcd', $c->{store}->endpoints);
	isnt($status, 0, 'a directory with foreign files is refused');
	like($err, qr/neither empty nor a data directory/, 'with the reason');
	is(PgCluster::read_file("$dir/letter"), 'dear', 'and its files are still there');
}

# A copy made by hand, and one that was interrupted before.
{
	my $dir = "$c->{dir}/copy";
	my @source = ('--source', "host=127.0.0.1 port=" . $c->node($leader)->{port}
		  . " user=replicator dbname=postgres passfile=$c->{passfile}");

	mkdir $dir;
	mkdir "$dir/pgcluster.new";
	PgCluster::write_file("$dir/pgcluster.new/PG_VERSION", "15\n");
	$c->run($node_program, 'clone', '-D', $dir, @source);
	ok(-f "$dir/PG_VERSION" && -f "$dir/standby.signal", 'clone makes a standby where one was interrupted');
	ok(!-e "$dir/pgcluster.new", 'and leaves no draft');
	my ($status, undef, $err) = $c->try_run($node_program, 'clone', '-D', $dir, @source);
	like($err, qr/is not empty/, 'clone does not overwrite data');
}

# The data of another group.
{
	$c->{store}->put('/service/elsewhere/0/initialize', '42');
	my ($status, undef, $err) = $c->try_run($node_program, 'run', '-D', "$c->{dir}/copy",
		'--scope', 'elsewhere', '--name', 'x', '--etcd', $c->{store}->endpoints);
	isnt($status, 0, 'data of another group are refused');
	like($err, qr/belong to another group/, 'with the reason');
}

# The postmaster of a standby dies: it is back by itself.
{
	my $before = $c->postmaster_pid($standby);

	$c->kill_postmaster($standby);
	ok(PgCluster::wait_until(sub { ($c->postmaster_pid($standby) // $before) != $before }),
		'a killed postmaster is started again');
	$c->wait_streaming($standby);
	pass('and streams again');
}

# The parent is killed: its server goes too, and the next one takes over.
{
	my $node = $c->node($standby);
	my $postmaster = $c->postmaster_pid($standby);

	kill 'KILL', $node->{pid};
	PgCluster::wait_until(sub { defined $c->exit_status($standby) });
	$c->start_node($standby);
	$c->wait_streaming($standby);
	ok(!$c->uses_data($standby, $postmaster), 'when the parent is killed the server goes');
	isnt($c->postmaster_pid($standby), $postmaster, 'and a new parent starts a new one');
}

# SIGHUP is for the server.
{
	$c->sql($standby, "ALTER SYSTEM SET work_mem = '5MB'");
	kill 'HUP', $c->node($standby)->{pid};
	ok($c->poll($standby, 'SHOW work_mem', '5MB'), 'SIGHUP makes the server read its configuration again');
}

# Stopped by a signal, stopped by pg_ctl.
{
	$c->stop_node($standby);
	is($c->node($standby)->{status}, 0, 'a clean stop ends with 0');
	is($c->postmaster_pid($standby), undef, 'and no server is left');
	$c->start_node($standby);
	$c->wait_streaming($standby);
	$c->run("$c->{bindir}/pg_ctl", 'stop', '-D', $c->node($standby)->{data}, '-m', 'fast');
	ok(PgCluster::wait_until(sub { defined $c->exit_status($standby) }), 'pg_ctl stop ends the parent too');
	is($c->node($standby)->{status}, 0, 'with 0');
}

# A server that cannot start is given up after a few attempts.
{
	chmod 0755, $c->node($standby)->{data};
	$c->start_node($standby);
	ok(PgCluster::wait_until(sub { defined $c->exit_status($standby) }), 'a server that cannot start is given up');
	is($c->node($standby)->{status} >> 8, 1, 'with 1');
	chmod 0700, $c->node($standby)->{data};
}

# One whose configuration does not come from here is not started at all.
{
	my $conf = $c->node($standby)->{data} . '/postgresql.conf';
	my $text = PgCluster::read_file($conf);

	PgCluster::write_file($conf, $text =~ s/^include_if_exists.*$//mr);
	$c->start_node($standby);
	ok(PgCluster::wait_until(sub { defined $c->exit_status($standby) }), 'a server with a foreign configuration is not started');
	like(PgCluster::tail($c->node($standby)->{log}, 4), qr/does not read "pgcluster_node.conf"/, 'and the reason is told');
	PgCluster::write_file($conf, $text);
}

# A stop in the middle of a clone leaves an empty directory.
{
	my $name = $c->add_node('c4', group => 0)->{name};
	my $data = $c->node($name)->{data};

	# A leader that does not answer keeps pg_basebackup waiting.
	kill 'STOP', $c->postmaster_pid($leader);
	$c->start_node($name);
	PgCluster::wait_until(
		sub { grep { PgCluster::read_file("/proc/$_/cmdline") =~ /pg_basebackup/ }
			  PgCluster::process_tree($c->node($name)->{pid}) });
	$c->stop_node($name);
	kill 'CONT', $c->postmaster_pid($leader);
	opendir(my $dir, $data);
	is_deeply([ grep { !/^\.\.?$/ } readdir $dir ], [], 'a clone that is stopped leaves nothing');
}

$c->stop;

# The initialiser dies in the middle of it: another member does it, and the
# first one clones that when it is back.
{
	my $d = PgCluster->new(groups => { 0 => 2 });

	$d->{passfile} = "$d->{dir}/passfile";
	$d->{store}->start;
	$d->start_node('c1');
	PgCluster::wait_until(sub { -d $d->node('c1')->{data} . '/pgcluster.new/base' });
	$d->kill_all('c1');
	ok(!-e $d->node('c1')->{data} . '/PG_VERSION', 'a member that is killed while it initialises has no data');
	$d->start_node('c2');
	ok(PgCluster::wait_until(sub { $d->is_primary('c2') }), 'then another one initialises the group');
	$d->start_node('c1');
	$d->wait_streaming('c1');
	pass('and the first one clones it');
	$d->stop;
}
done_testing();
