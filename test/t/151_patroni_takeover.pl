# A group that Patroni manages is taken over member by member.
use strict;
use warnings;

use PgCluster;
use Test::More;

plan skip_all => 'Patroni is not installed' if !-x '/usr/bin/patroni';

my $c = PgCluster->new(groups => { -1 => 2 }, scope => 'shop');
my ($p1, $p2) = map { $c->node($_) } qw(c1 c2);
my %rest = map { $_->{name} => PgCluster::free_port() } $p1, $p2;
$c->{passfile} = "$c->{dir}/passfile";
PgCluster::write_file($c->{passfile}, "*:*:*:replicator:secret\n*:*:*:postgres:secret\n");
chmod 0600, $c->{passfile};
$c->{store}->start;

# What Debian's Patroni needs to run one.
sub patroni_config
{
	my ($node) = @_;
	my $file = "$c->{dir}/$node->{name}.yml";
	my $etcd = join ', ', split /,/, $c->{store}->endpoints;

	PgCluster::write_file($file, <<"END");
scope: shop
name: $node->{name}
etcd3:
  hosts: [$etcd]
restapi:
  listen: 127.0.0.1:$rest{$node->{name}}
  connect_address: 127.0.0.1:$rest{$node->{name}}
bootstrap:
  dcs: {ttl: 20, loop_wait: 1, retry_timeout: 3, postgresql: {use_pg_rewind: true, parameters: {wal_log_hints: 'on', max_prepared_transactions: 50}}}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, {username: postgres}, no-sync]
  pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 md5', 'host replication all 127.0.0.1/32 md5']
postgresql:
  listen: 127.0.0.1:$node->{port}
  connect_address: 127.0.0.1:$node->{port}
  data_dir: $node->{data}
  bin_dir: $c->{bindir}
  pgpass: $c->{dir}/$node->{name}.pgpass
  parameters: {unix_socket_directories: '$c->{socket_dir}', fsync: 'off'}
  authentication:
    superuser: {username: postgres, password: secret}
    replication: {username: replicator, password: secret}
END
	return $file;
}

sub start_patroni
{
	my ($node) = @_;

	$node->{pid} = $c->spawn($node->{log}, '/usr/bin/patroni', patroni_config($node));
	return;
}

# What the documentation says: the same data, with pgcluster instead of Patroni.
sub take_over
{
	my ($node) = @_;

	$c->stop_node($node->{name});
	PgCluster::append_file("$node->{data}/postgresql.conf", <<"END");
shared_preload_libraries = 'pgcluster'
wal_retrieve_retry_interval = 100ms
include_if_exists 'pgcluster_node.conf'
END
	$c->{node_args} = [ '--http-port' => $rest{ $node->{name} } ];
	$c->start_node($node->{name});
	$c->wait_streaming($node->{name});
	return;
}

sub patronictl
{
	return $c->try_run('/usr/bin/patronictl', '-c', "$c->{dir}/c1.yml", @_);
}

start_patroni($p1);
ok(PgCluster::wait_until(sub { $c->is_primary('c1') && ($c->leader(-1) // '') eq 'c1' }), 'Patroni leads')
  or diag($c->tails);
$c->sql('c1', 'CREATE TABLE goods (id int PRIMARY KEY); INSERT INTO goods SELECT generate_series(1, 1000)');
start_patroni($p2);
$c->wait_streaming('c2');

# The standby first.
take_over($p2);
my ($status, $out, $err) = patronictl('list');
like($out, qr/c2 .* Replica .*(running|streaming)/, 'a standby under pgcluster, as Patroni sees it') or diag($out, $err);
$c->sql('c1', 'INSERT INTO goods VALUES (1001)');
ok($c->poll('c2', 'SELECT count(*) = 1001 FROM goods'), 'follows the leader under Patroni');

($status, $out, $err) = patronictl('switchover', '--master', 'c1', '--candidate', 'c2', '--force');
is($status, 0, 'patronictl hands the lead to it') or diag($out, $err, $c->tails);
is($c->new_leader(-1, 'c1', 60), 'c2', 'and it leads');
$c->sql('c2', 'INSERT INTO goods VALUES (1002)');
$c->sql('c2', 'CREATE EXTENSION pgcluster');
$c->wait_streaming('c1');
ok($c->poll('c1', 'SELECT count(*) = 1002 FROM goods'), 'Patroni follows a leader under pgcluster');

# And the other one.
take_over($p1);
ok($c->poll('c1', 'SELECT count(*) = 1002 FROM goods'), 'the last member is taken over');
is($c->sql('c2', q{SELECT string_agg(member || ' ' || role, ', ' ORDER BY member) FROM cluster_status()}),
	'c1 replica, c2 leader', 'the cluster is whole');
$c->poll('c2', "SELECT bool_and(role = 'leader' OR state = 'streaming') FROM cluster_status()");
is($c->sql('c2', q{SELECT cluster_switchover('c1')}), 'c1', 'and switches over by itself');
$c->new_leader(-1, 'c2');
$c->sql('c1', 'INSERT INTO goods VALUES (1003)');
is($c->sql('c1', 'SELECT count(*) FROM goods'), '1003', 'with all data');

$c->stop;
done_testing();
