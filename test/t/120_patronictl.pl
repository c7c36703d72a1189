# patronictl, made for Patroni, shows the cluster unmodified.
use strict;
use warnings;

use PgCluster;
use Test::More;

my ($patronictl) = grep { -x } map { "$_/patronictl" } split /:/, $ENV{PATH} . ':/usr/bin';
plan skip_all => 'there is no patronictl' unless $patronictl;

my $c = PgCluster->new(groups => { 0 => 2, 1 => 2 });
$c->node($_)->{settings} = { 'pgcluster.http_port' => PgCluster::free_port() } foreach $c->members(1);
$c->start;
my $config = "$c->{dir}/p.yml";
PgCluster::write_file($config, <<"END");
scope: $c->{scope}
namespace: /service/
etcd3:
  hosts: @{[ $c->{store}->endpoints ]}
citus:
  group: 0
  database: postgres
END

my $list = $c->run($patronictl, '-c', $config, 'list');
foreach my $group (0, 1)
{
	my $leader = $c->leader($group);
	my ($replica) = grep { $_ ne $leader } $c->members($group);

	like($list, qr/\|\s*$group \| $leader\s*\|[^\n]*\| Leader\s*\| running/, "the leader of group $group");
	like($list, qr/\|\s*$group \| $replica\s*\|[^\n]*\| Replica\s*\| (streaming|running)/, "the replica of group $group");
}

my @members = @{ JSON::PP::decode_json($c->run($patronictl, '-c', $config, 'list', '-f', 'json')) };
is(scalar @members, 4, 'all members are listed');
is(scalar(grep { ($_->{'Lag in MB'} // 0) eq '0' || $_->{Role} eq 'Leader' } @members), 4, 'the lag is known');
like($c->run($patronictl, '-c', $config, 'show-config', '--group', '0'), qr/ttl: 5/, 'the configuration can be read');

# Parameters of a group, and that a restart waits.
my $more = $c->sql(0, 'SHOW max_connections') + 10;
$c->run('/usr/bin/env', 'LC_ALL=C.UTF-8', $patronictl, '-c', $config, 'edit-config', '--group', '0', '--force',
	'-p', 'work_mem=12MB', '-p', "max_connections=$more");
ok($c->poll($_, 'SHOW work_mem', '12MB'), "a parameter of the group is set on $_") foreach $c->members(0);
ok( PgCluster::wait_until(
		sub {
			my @listed = @{ JSON::PP::decode_json($c->run($patronictl, '-c', $config, 'list', '-f', 'json')) };
			return 2 == grep { ($_->{'Pending restart'} // '') eq '*' } @listed;
		}),
	'that a restart is pending is listed');

# A worker group is told over its own members' HTTP servers.
my $former = $c->leader(1);
$c->wait_ready(1);
like($c->run($patronictl, '-c', $config, 'switchover', 'test', '--group', '1', '--force'), qr/Successfully switched over/, 'switchover in a worker group');
isnt($c->new_leader(1, $former), $former, '... which another member leads now');

$c->stop;

# A cluster without groups has no level for them in its keys.
{
	my $d = PgCluster->new(groups => { -1 => 2 });

	$d->start;
	PgCluster::write_file("$d->{dir}/p.yml",
		"scope: $d->{scope}\nnamespace: /service/\netcd3:\n  hosts: @{[ $d->{store}->endpoints ]}\n");
	my $leader = $d->leader(-1);
	$list = $d->run($patronictl, '-c', "$d->{dir}/p.yml", 'list');
	like($list, qr/\| $leader\s*\|[^\n]*\| Leader\s*\| running/, 'the leader of a cluster without groups');
	like($list, qr/\| Replica\s*\| (streaming|running)/, 'and its replica');
	$d->stop;
}
done_testing();
