# What a session notices when a node fails, and when it is told to stop.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
$c->sql($_, 'CREATE TABLE t (a int PRIMARY KEY)') foreach qw(w1 w2);

my $s = PgCluster::Session->new($c, 'c');

sub execute { my ($sql, $group) = @_; return 'SELECT pgcluster.execute_on_group(' . ($group // 1) . ", \$q\$$sql\$q\$)"; }
sub query { my ($sql, $group) = @_; return 'SELECT pgcluster.query_on_group(' . ($group // 1) . ", \$q\$$sql\$q\$)"; }

# A connection that died while nothing ran.
is($s->run(execute('INSERT INTO public.t VALUES (1)')), 1, 'a row is written');
$c->restart_node('w1', 'immediate');
is($s->run(execute('INSERT INTO public.t VALUES (2)')), 1, 'the first statement after a restart works');
$c->restart_node('w1', 'fast');
is($s->run('BEGIN;' . execute('INSERT INTO public.t VALUES (3)') . '; COMMIT'), 1, '... in a block too');

# A connection that died with a transaction that had done something.
$s->run('BEGIN;' . execute('INSERT INTO public.t VALUES (4)'));
$c->restart_node('w1', 'fast');
like($s->run(query('SELECT 1')), qr/ERROR:  40001: the transaction was lost with the connection to node/,
	'a transaction whose work is lost says that it can be tried again');
like($s->run('SELECT 1'), qr/25P02/, '... and has failed');
$s->run('ROLLBACK');
is($s->run('BEGIN;' . execute('INSERT INTO public.t VALUES (4)') . '; COMMIT'), 1, '... and works at the next try');

# The same, noticed at COMMIT only.
$s->run('BEGIN;' . execute('INSERT INTO public.t VALUES (5)') . ';' . execute('INSERT INTO public.t VALUES (5)', 2));
$c->restart_node('w1', 'fast');
like($s->run('COMMIT'), qr/ERROR:  40001:/, 'COMMIT of lost work fails');
is($c->sql('w2', 'SELECT count(*) FROM t WHERE a = 5'), 0, '... and the other node has not committed');
is($c->sql($_, 'SELECT count(*) FROM pg_prepared_xacts'), 0, "... nothing is prepared on $_") foreach qw(w1 w2);

# Lost inside a subtransaction that had all the work on that node.
$s->run('BEGIN;' . execute('INSERT INTO public.t VALUES (6)', 2) . '; SAVEPOINT a;' . execute('INSERT INTO public.t VALUES (6)'));
$c->restart_node('w1', 'fast');
like($s->run(execute('INSERT INTO public.t VALUES (7)')), qr/ERROR:  40001:/, 'a lost subtransaction fails');
$s->run('ROLLBACK TO a');
is($s->run(execute('INSERT INTO public.t VALUES (7)')), 1, '... and the transaction can go on after it');
$s->run('COMMIT');
is($c->sql('w1', 'SELECT string_agg(a::text, $$,$$ ORDER BY a) FROM t'), '1,2,3,4,7', '... with the right rows here');
is($c->sql('w2', 'SELECT string_agg(a::text, $$,$$ ORDER BY a) FROM t'), '6', '... and there');

# Lost inside a subtransaction, with work from before it.
$s->run('BEGIN;' . execute('INSERT INTO public.t VALUES (8)') . '; SAVEPOINT a;' . execute('INSERT INTO public.t VALUES (9)'));
$c->restart_node('w1', 'fast');
like($s->run(query('SELECT 1')), qr/ERROR:  40001:/, 'a lost transaction fails');
$s->run('ROLLBACK TO a');
like($s->run(query('SELECT 1')), qr/ERROR:  40001:/, '... and a savepoint does not bring it back');
$s->run('ROLLBACK TO a');
like($s->run('COMMIT'), qr/ERROR:  40001:/, '... nor does COMMIT');
is($c->sql('w1', 'SELECT count(*) FROM t WHERE a >= 8'), 0, '... and nothing of it is there');

# A backend of the node is terminated in the middle of a statement.
$s->send('BEGIN;' . execute('INSERT INTO public.t VALUES (10)') . ';' . query('SELECT pg_sleep(60)'));
ok($c->poll('w1', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}), 'a statement runs');
$c->sql('w1', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
like($s->wait, qr/ERROR:  40001:.*terminating connection/s, 'a terminated backend is an error at once');
$s->run('ROLLBACK');

# Cancelling reaches the node.
my $running = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()};
$s->send(query('SELECT pg_sleep(60)'));
ok($c->poll('w1', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}), 'a statement runs');
$c->sql('c', 'SELECT pg_cancel_backend(' . $s->backend . ')');
like($s->wait, qr/ERROR:  57014: canceling statement due to user request/, 'it is cancelled');
ok($c->poll('w1', $running), '... on the node too');
is($s->run(execute('INSERT INTO public.t VALUES (11)')), 1, '... and the session goes on');

like($s->run("SET statement_timeout = '200ms';" . query('SELECT pg_sleep(60)')),
	qr/57014: canceling statement due to statement timeout/, 'statement_timeout holds');
ok($c->poll('w1', $running), '... on the node too');
$s->run('RESET statement_timeout');

# A cancelled statement in a subtransaction leaves the rest of the transaction.
$s->run('BEGIN;' . execute('INSERT INTO public.t VALUES (12)') . '; SAVEPOINT a');
like($s->run("SET LOCAL statement_timeout = '200ms';" . query('SELECT pg_sleep(60)')), qr/57014/, 'cancelled after a savepoint');
$s->run('ROLLBACK TO a; COMMIT');
is($c->sql('w1', 'SELECT count(*) FROM t WHERE a = 12'), 1, '... what was before it is committed');

# A session that ends takes its statements along.
$s->send(query('SELECT pg_sleep(60)'));
ok($c->poll('w1', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}), 'a statement runs');
$c->sql('c', 'SELECT pg_terminate_backend(' . $s->backend . ')');
ok($c->poll('w1', $running), 'it ends with its session');
$s->close;
$s = PgCluster::Session->new($c, 'c');

# A node that is frozen: it neither answers nor refuses.
my @frozen = PgCluster::process_tree($c->node('w1')->{pid});
$s->run('BEGIN;' . execute('INSERT INTO public.t VALUES (13)') . ';' . execute('INSERT INTO public.t VALUES (13)', 2));
@frozen = PgCluster::process_tree($c->node('w1')->{pid});
kill 'STOP', @frozen;
my $frozen_at = time;
like($s->run("SET LOCAL statement_timeout = '200ms';" . query('SELECT 1')), qr/57014/, 'a statement on a frozen node can be cancelled');
$s->run('ROLLBACK');
cmp_ok(time - $frozen_at, '<', 10, '... soon');
is($s->run(query('SELECT 1', 2)), '{1}', '... and the other node can be used');
kill 'CONT', @frozen;
ok($c->poll('w1', q{SELECT count(*) = 0 FROM pg_locks WHERE relation = 't'::regclass}), 'nothing is locked when it thaws');
is($c->sql('w1', 'SELECT count(*) FROM t WHERE a = 13'), 0, '... nor written');

# A node that is down, and one that does not exist.
$c->stop_node('w1');
my $begin = time;
like($s->run(query('SELECT 1')), qr/ERROR:  08001: could not reach node .* of group 1/, 'a node that is down is said to be');
cmp_ok(time - $begin, '<', 15, '... soon');
is($s->run(query('SELECT 1', 2)), '{1}', '... the other one works');
$c->start_node('w1');
is($s->run(query('SELECT 1')), '{1}', '... and it when it is back');
like($s->run(query('SELECT 1', 9)), qr/ERROR:  42704: the address of group 9 is not known/, 'no such group');

# A node that moves: the catalog changes, the session follows.
$c->sql('c', 'UPDATE pgcluster.member_group SET port = ' . $c->node('w2')->{port} . ' WHERE group_id = 1');
is($s->run(query('SHOW port')), '{' . $c->node('w2')->{port} . '}', 'a session follows a changed address');

# The session of the node is like ours.
$s->run("SET timezone = 'Asia/Tokyo'; SET datestyle = 'sql, dmy'; SET intervalstyle = 'iso_8601'; SET extra_float_digits = 0; SET bytea_output = 'escape'");
is($s->run(query(q{SELECT '2026-03-01 00:00+00'::timestamptz, '1 day'::interval, 0.1::float8 + 0.2, 'x'::bytea})),
	'{"01/03/2026 09:00:00 JST",P1D,0.3,x}', 'settings are the same on the node');
$s->run("BEGIN; SET LOCAL timezone = 'UTC';" . query('SELECT 1') . '; ROLLBACK');
is($s->run(query('SHOW timezone')), '{Asia/Tokyo}', '... and come back with a rollback');
like($s->run(query(q{DO $x$ BEGIN RAISE WARNING 'careful' USING HINT = 'slowly'; END $x$})), qr/WARNING:  01000: careful.*HINT:  slowly/s, 'a warning of the node arrives');
like($s->run(execute('INSERT INTO public.t VALUES (6)')),
	qr/ERROR:  23505: duplicate key value.*DETAIL:  Key \(a\)=\(6\).*CONTEXT:  node 127.0.0.1:\d+, group 1.*TABLE NAME:  t.*CONSTRAINT NAME:  t_pkey/s, 'an error has all its fields');

$s->close;
done_testing();
