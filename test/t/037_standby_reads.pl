# Reads that go to a standby of a worker group: which, how stale they may be,
# and what happens when it is not there.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 1, 1 => 2 }, etcd => 1);
$c->start;
$c->wait_ready($_) foreach 0, 1;

$c->sql($_, 'CREATE EXTENSION IF NOT EXISTS pgcluster') foreach 0, 1;
$c->sql(0, <<'END');
CREATE TABLE t (k int PRIMARY KEY, v int);
SELECT create_distributed_table('t', 'k', shard_count => 4);
INSERT INTO t SELECT g, 0 FROM generate_series(1, 1000) g;
END
my $leader = $c->leader(1);
my ($standby) = grep { $_ ne $leader } $c->members(1);

my $s = PgCluster::Session->new($c, 'c1');
my $other = PgCluster::Session->new($c, 'c1');

# Who answers: the node that EXPLAIN ANALYZE shows kept the plan.
sub asked { my ($session, $query) = @_; return $session->run("EXPLAIN $query") =~ /Node: \S+:(\d+)/ ? $1 : ''; }
sub port { return $c->node($_[0])->{port}; }

# Sessions of the coordinator on a node.
sub sessions { return $c->sql($_[0], q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgcluster\_0%' AND query LIKE '%public\_%'}); }

is(asked($s, 'SELECT v FROM t WHERE k = 1'), port($leader), 'reads go to the leader');
$s->run("SET pgcluster.read_from_replicas = 'prefer'");
ok(PgCluster::wait_until(sub { asked($s, 'SELECT v FROM t WHERE k = 1') eq port($standby) }), '... and to a standby when that is preferred');
is($s->run('SELECT count(*) FROM t'), 1000, 'it answers');
ok($c->poll($standby, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE 'pgcluster\_%'}), '... it does');
is(sessions($leader), 0, '... and the leader was not asked by this session') or diag $c->sql($leader, 'SELECT application_name, query FROM pg_stat_activity');

# What has written reads its own writes.
is($s->run('BEGIN; UPDATE t SET v = 1 WHERE k = 1; SELECT v FROM t WHERE k = 1'), 1, 'a transaction sees its own writes');
is($s->run('SELECT count(*) FROM t WHERE v = 1; ROLLBACK'), 1, '... in any query');
$s->run('CREATE FUNCTION write_and_read(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = n WHERE k = 2; RETURN (SELECT v FROM t WHERE k = 2); END $$');
is($s->run('SELECT write_and_read(5)'), 5, '... in a function too');
is(asked($s, 'UPDATE t SET v = 2 WHERE k = 2'), port($leader), 'writes go to the leader');
is($s->run('BEGIN; SELECT 1; EXPLAIN SELECT v FROM t WHERE k = 1; ROLLBACK') =~ /Node: \S+:(\d+)/ ? $1 : '', port($leader), 'so does a transaction that may write');
is($s->run('BEGIN READ ONLY; EXPLAIN SELECT v FROM t WHERE k = 1; ROLLBACK') =~ /Node: \S+:(\d+)/ ? $1 : '', port($standby), '... but not one that is read only');

# A standby that does not replay is behind; the limit says how far it may be.
$c->sql($standby, 'SELECT pg_wal_replay_pause()');
$other->run('UPDATE t SET v = 9 WHERE k = 3');
is($s->run('SELECT v FROM t WHERE k = 3'), 0, 'a standby may be a little behind');
$s->run('SET pgcluster.replica_max_lag = 0');
ok(PgCluster::wait_until(sub { $s->run('SELECT v FROM t WHERE k = 3') eq '9' }), '... but not more than replica_max_lag: then the leader answers');
$c->sql($standby, 'SELECT pg_wal_replay_resume()');
$s->run('RESET pgcluster.replica_max_lag');
ok(PgCluster::wait_until(sub { asked($s, 'SELECT v FROM t WHERE k = 1') eq port($standby) }), 'the standby is asked again');

# One server for a transaction, whatever happens meanwhile; and one that dies.
$s->run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
is($s->run('SELECT count(*) FROM t WHERE v = 9'), 1, 'a read-only transaction');
$other->run('UPDATE t SET v = 9 WHERE k = 4');
is($s->run('SELECT count(*) FROM t WHERE v = 9; COMMIT'), 1, '... has one snapshot');
$c->kill_all($standby);
is($s->run('SELECT count(*) FROM t WHERE v = 9'), 2, 'without a standby the leader answers');
is($s->run('BEGIN READ ONLY; SELECT count(*) FROM t WHERE v = 9; COMMIT'), 2, '... in a transaction too');
$c->start_node($standby);
$c->wait_ready(1);
ok(PgCluster::wait_until(sub { asked($s, 'SELECT v FROM t WHERE k = 1') eq port($standby) }), 'it is asked again when it is back');
is($s->run('SELECT count(*) FROM t WHERE v = 9'), 2, '... and answers');

# A standby that is frozen neither answers nor refuses.
my @frozen = PgCluster::process_tree($c->node($standby)->{pid});
kill 'STOP', @frozen;
is($s->run('SELECT count(*) FROM t'), 1000, 'a frozen standby is left for the leader');
kill 'CONT', @frozen;

$_->close foreach $s, $other;
done_testing();
