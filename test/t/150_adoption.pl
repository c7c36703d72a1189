# A server with data becomes the first member of a cluster by one restart.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 1 }, scope => 'adopt');
my $old = $c->node('c1');

# As somebody has it: data, a role of theirs, and a running session.
$c->run("$c->{bindir}/initdb", '-D', $old->{data}, '-U', 'postgres', '-A', 'trust', '--no-sync',
	'-E', 'UTF8', '--locale=C.UTF-8');
PgCluster::append_file("$old->{data}/postgresql.conf", <<"END");
port = $old->{port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '$c->{socket_dir}'
fsync = off
END
my @pg_ctl = ("$c->{bindir}/pg_ctl", '-D', $old->{data}, '-l', $old->{log}, '-w');
$c->run(@pg_ctl, 'start');
$c->sql('c1', q{CREATE TABLE goods (id int PRIMARY KEY, name text);
	INSERT INTO goods SELECT i, 'good ' || i FROM generate_series(1, 1000) i});
my $identifier = $c->sql('c1', 'SELECT system_identifier FROM pg_control_system()');

# What the documentation says.
$c->{passfile} = "$c->{dir}/passfile";
PgCluster::write_file($c->{passfile}, "*:*:*:replicator:adopted\n*:*:*:postgres:adopted\n");
chmod 0600, $c->{passfile};
$c->{store}->start;
$c->sql('c1', q{CREATE ROLE replicator LOGIN SUPERUSER REPLICATION PASSWORD 'adopted'});
PgCluster::append_file("$old->{data}/postgresql.conf", <<"END");
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
$c->sql('c1', q{SELECT cluster_switchover('c2')});
is($c->new_leader(0, 'c1'), 'c2', 'and takes over');
$c->wait_streaming('c1');
$c->sql('c2', q{INSERT INTO goods VALUES (1002, 'newer')});
ok($c->poll('c1', 'SELECT count(*) = 1002 FROM goods'), 'the old server follows');

# Its server dies: nobody supervises it, so it is started by hand, and fits in.
kill 'KILL', $c->postmaster_pid('c1');
$c->sql('c2', q{INSERT INTO goods VALUES (1003, 'newest')});
PgCluster::wait_until(sub { my ($status) = $c->try_run(@pg_ctl, 'start'); $status == 0 });
$c->wait_streaming('c1');
ok($c->poll('c1', 'SELECT count(*) = 1003 FROM goods'), 'started again, it follows');

# From now on under pgcluster_node.
$c->run(@pg_ctl, 'stop', '-m', 'fast');
PgCluster::append_file("$old->{data}/postgresql.conf", "include_if_exists 'pgcluster_node.conf'\n");
$c->start_node('c1');
$c->wait_streaming('c1');
$c->sql('c2', q{SELECT cluster_switchover('c1')});
is($c->new_leader(0, 'c2'), 'c1', 'under pgcluster_node it can lead again');
is($c->sql('c1', 'SELECT count(*) FROM goods'), '1003', 'with all data');

$c->stop;
done_testing();
