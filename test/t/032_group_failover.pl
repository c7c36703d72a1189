# A worker group's leader changes: sessions on the coordinator follow without
# anyone's help, and lose only what the old leader had begun.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;
use Time::HiRes qw(time);

my $c = PgCluster->new(groups => { 0 => 1, 1 => 2, 2 => 1 }, etcd => 1);
$c->start;
$c->wait_ready($_) foreach 0, 1, 2;

$c->sql($_, 'CREATE EXTENSION IF NOT EXISTS pgcluster') foreach 0, 1, 2;
$c->sql(0, <<'END');
CREATE TABLE t (k int PRIMARY KEY, v int);
SELECT create_distributed_table('t', 'k');
INSERT INTO t SELECT g, 0 FROM generate_series(1, 1000) g;
END

my $s = PgCluster::Session->new($c, 'c1');
my $idle = PgCluster::Session->new($c, 'c1');

is($_->run('SELECT count(*) FROM t'), 1000, 'all rows are seen') foreach $s, $idle;
$s->run('BEGIN; UPDATE t SET v = 1');

my $old = $c->leader(1);
my $begin = time;
$c->kill_all($old);

# Told to anybody before the group has a new leader: it waits, and succeeds.
is($idle->run('UPDATE t SET v = v + 10 WHERE k <= 0; SELECT count(*) FROM t'), 1000, 'a session that had nothing open goes on');
note sprintf 'after %.1f s', time - $begin;
like($s->run('UPDATE t SET v = 2'), qr/ERROR:  40001: the transaction was lost/, 'an open transaction is lost');
$s->run('ROLLBACK');
is($s->run('UPDATE t SET v = v + 1; SELECT sum(v) FROM t'), 1000, '... and works at the next try');
isnt($c->leader(1), $old, 'another member leads');

# A switchover, which demotes the old leader in place.
$c->start_node($old);
$c->wait_ready(1);
$old = $c->leader(1);
$s->run('BEGIN; UPDATE t SET v = v + 1');
ok(PgCluster::wait_until(sub { ($c->try_sql($old, 'SELECT cluster_switchover()'))[0] == 0 }), 'a switchover is accepted');
$c->new_leader(1, $old);
$s->send('UPDATE t SET v = v + 1; COMMIT');
like($s->wait, qr/ERROR:  40001:/, 'an open transaction is lost in a switchover too');
ok($c->poll(0, 'SELECT count(*) = 1000 FROM t'), 'the rows are there');
is($s->run('UPDATE t SET v = 7; SELECT sum(v) FROM t'), 7000, 'a session goes on after a switchover');

# A leader that is frozen neither answers nor refuses.
$c->wait_ready(1);
$old = $c->leader(1);
$s->run('BEGIN; UPDATE t SET v = 8');
my @frozen = PgCluster::process_tree($c->node($old)->{pid});
kill 'STOP', @frozen;
is($idle->run('SELECT count(*) FROM t'), 1000, 'a statement leaves a frozen leader for the next one');
like($s->run('COMMIT'), qr/ERROR:  40001:/, 'an open transaction is lost with it');
is($s->run('UPDATE t SET v = 9; SELECT sum(v) FROM t'), 9000, '... and works at the next try');
kill 'CONT', @frozen;
$c->wait_streaming($old);
is($c->sql($old, q{SELECT count(*) FROM pg_prepared_xacts}), 0, 'nothing is left on it when it thaws');
is($idle->run('SELECT sum(v) FROM t'), 9000, '... and nobody asks it any more');

$c->sql(0, q{SELECT cluster_set_config('{"synchronous_mode": "on"}', 1)});
ok($c->poll(0, "SELECT role = 'sync_standby' FROM cluster_status() WHERE member = '$old'"),
	'the coordinator shows which members of a group are synchronous');

$_->close foreach $s, $idle;
done_testing();
