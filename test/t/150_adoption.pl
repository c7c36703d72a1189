# A server with data becomes the first member of a cluster by one restart.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 1 }, scope => 'adopt');
my $old = $c->node('c1');

# Asks for a switchover when the candidate has said that it is ready for it.
sub switch_over
{
	my ($from, $to) = @_;

	$c->poll($from, "SELECT count(DISTINCT timeline) = 1 AND bool_and(role = 'leader' OR state = 'streaming') FROM cluster_status()");
	$c->sql($from, "SELECT cluster_switchover('$to')");
	return;
}

# As Debian sets it up: the configuration is outside the data directory.
$c->run("$c->{bindir}/initdb", '-D', $old->{data}, '-U', 'postgres', '-A', 'trust', '--no-sync',
	'-E', 'UTF8', '--locale=C.UTF-8');
my $etc = "$c->{dir}/etc";
mkdir $etc;
foreach my $file (qw(postgresql.conf pg_hba.conf pg_ident.conf))
{
	rename "$old->{data}/$file", "$etc/$file" or die "could not move $file: $!";
}
PgCluster::append_file("$etc/postgresql.conf", <<"END");
data_directory = '$old->{data}'
hba_file = '$etc/pg_hba.conf'
ident_file = '$etc/pg_ident.conf'
port = $old->{port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '$c->{socket_dir}'
fsync = off
END
my @pg_ctl = ("$c->{bindir}/pg_ctl", '-D', $old->{data}, '-l', $old->{log}, '-w',
	'-o', "-c config_file=$etc/postgresql.conf");
$c->run(@pg_ctl, 'start');
$c->sql('c1', q{CREATE TABLE goods (id int PRIMARY KEY, name text);
	INSERT INTO goods SELECT i, 'good ' || i FROM generate_series(1, 1000) i});
my $identifier = $c->sql('c1', 'SELECT system_identifier FROM pg_control_system()');

# What the documentation says.
$c->{passfile} = "$c->{dir}/passfile";
PgCluster::write_file($c->{passfile}, "*:*:*:replicator:adopted\n*:*:*:postgres:adopted\n");
chmod 0600, $c->{passfile};
$c->{store}->start;
$c->sql('c1', q{CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'adopted';
	GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
		pg_read_binary_file(text, bigint, bigint, boolean) TO replicator;
	GRANT pg_checkpoint TO replicator});
PgCluster::append_file("$etc/postgresql.conf", <<"END");
shared_preload_libraries = 'pgcluster'
wal_level = logical
wal_log_hints = on
max_prepared_transactions = 100
wal_retrieve_retry_interval = 100ms
recovery_init_sync_method = syncfs
pgcluster.etcd_endpoints = '@{[ $c->{store}->endpoints ]}'
pgcluster.scope = 'adopt'
pgcluster.node_name = 'c1'
pgcluster.advertise_host = '127.0.0.1'
pgcluster.node_conninfo = 'passfile=$c->{passfile}'
pgcluster.http_port = 0
END
$c->run(@pg_ctl, 'restart');
$c->new_leader(0);
is($c->leader(0), 'c1', 'after one restart the server leads its group');
is($c->{store}->get($c->key(0, 'initialize')), $identifier, 'which bears its identifier');
is($c->sql('c1', 'SELECT count(*), min(name) FROM goods'), '1000|good 1', 'the data are there');
$c->sql('c1', 'CREATE EXTENSION pgcluster');
$c->sql('c1', q{INSERT INTO goods VALUES (1001, 'new')});
is($c->sql('c1', 'SELECT member, role FROM cluster_status()'), 'c1|leader', 'the extension shows it');
is($c->sql('c1', q{SELECT string_agg(check_name, ', ') FROM cluster_check() WHERE NOT ok AND check_name <> 'fsync'}), '',
	'and nothing is missing');

# A second member clones it, and takes over.
my $new = $c->add_node('c2', group => 0);
$c->start_node('c2');
$c->wait_streaming('c2');
is($c->sql('c2', 'SELECT count(*) FROM goods'), '1001', 'a second member clones it');
switch_over('c1', 'c2');
is($c->new_leader(0, 'c1'), 'c2', 'and takes over');
$c->wait_streaming('c1');
$c->sql('c2', q{INSERT INTO goods VALUES (1002, 'newer')});
ok($c->poll('c1', 'SELECT count(*) = 1002 FROM goods'), 'the old server follows');

# The old server leads once more, and dies with rows that nobody else has: the
# agent of the server that is started by hand has it rewound.
switch_over('c2', 'c1');
is($c->new_leader(0, 'c2'), 'c1', 'the old server leads again');
$c->wait_streaming('c2');

# A parameter of the group, which takes a restart: a server that was started by
# hand, with its configuration elsewhere, is restarted too, and leads on.
$c->sql('c2', q{SELECT cluster_set_config('{"postgresql": {"parameters": {"max_pred_locks_per_transaction": 77}}}')});
$c->poll('c2', q{SELECT pending_restart FROM cluster_status() WHERE member = 'c1'});
my $epoch = $c->sql('c1', 'SELECT epoch FROM cluster_leader()');
$c->sql('c2', q{SELECT cluster_restart('c1')});
is($c->sql('c1', 'SHOW max_pred_locks_per_transaction'), '77', 'it is restarted for a parameter of the group');
ok($c->poll('c1', "SELECT epoch = $epoch AND NOT pg_is_in_recovery() FROM cluster_leader()"), 'and leads on');
is(scalar(grep { /pgcluster\.group\.conf/ } split /\n/, PgCluster::read_file("$etc/postgresql.conf")), 1, 'its postgresql.conf was made to include them');
$c->wait_streaming('c2');

kill 'STOP', $c->sql('c1', q{SELECT pid FROM pg_stat_replication WHERE application_name = 'c2'});
$c->sql('c1', q{INSERT INTO goods VALUES (-1, 'lost')});
my @processes = ($c->postmaster_pid('c1'), PgCluster::process_tree($c->postmaster_pid('c1')));
kill 'KILL', @processes;
PgCluster::wait_until(sub { !kill 0, @processes });
is($c->new_leader(0, 'c1'), 'c2', 'it dies');
$c->sql('c2', q{INSERT INTO goods VALUES (1003, 'newest')});
$c->run(@pg_ctl, '-W', 'start');
$c->wait_streaming('c1');
is($c->sql('c1', 'SELECT min(id), max(id) FROM goods'), '1|1003', 'started again, it is rewound and follows');
is($c->sql('c1', 'SHOW config_file'), "$etc/postgresql.conf", 'with its configuration');

# From now on under pgcluster_node.
$c->run(@pg_ctl, 'stop', '-m', 'fast');
rename "$etc/postgresql.conf", "$old->{data}/postgresql.conf";
PgCluster::append_file("$old->{data}/postgresql.conf", "include_if_exists 'pgcluster_node.conf'\n");
$c->start_node('c1');
$c->wait_streaming('c1');
switch_over('c2', 'c1');
is($c->new_leader(0, 'c2'), 'c1', 'under pgcluster_node it can lead again');
is($c->sql('c1', 'SELECT count(*) FROM goods'), '1003', 'with all data');

$c->stop;
done_testing();
