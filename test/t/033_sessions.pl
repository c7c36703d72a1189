# Sessions side by side: what one sees of another, who waits for whom, and
# what of a session's own work is under way at once.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
$c->sql('c', <<'END');
CREATE TABLE t (k int PRIMARY KEY, v int, filler text);
SELECT create_distributed_table('t', 'k');
INSERT INTO t SELECT g, 0, repeat('x', 100) FROM generate_series(1, 5000) g;
END
my ($one, $two) = map { PgCluster::Session->new($c, 'c') } 1 .. 2;

# Number of sessions of nodes that wait for a lock.
sub waiting
{
	my $n = 0;
	$n += $c->sql($_, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) foreach qw(w1 w2);
	return $n;
}

# Read committed sees each commit, repeatable read its first snapshot.
$one->run('BEGIN; SELECT v FROM t WHERE k = 1');
$two->run('UPDATE t SET v = 1 WHERE k = 1');
is($one->run('SELECT v FROM t WHERE k = 1'), 1, 'read committed sees what was committed');
$one->run('COMMIT');
$one->run('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT v FROM t WHERE k = 1');
$two->run('UPDATE t SET v = 2 WHERE k = 1');
is($one->run('SELECT v FROM t WHERE k = 1'), 1, 'repeatable read does not');
like($one->run('UPDATE t SET v = 3 WHERE k = 1'), qr/ERROR:  40001: could not serialize access/, '... nor writes over it');
$one->run('ROLLBACK');
$one->run('BEGIN; UPDATE t SET v = 5 WHERE k = 2');
is($two->run('SELECT v FROM t WHERE k = 2'), 0, 'nobody sees what is not committed');
is($one->run('SELECT v FROM t WHERE k = 2'), 5, '... but who wrote it');
$one->run('ROLLBACK');
like($one->run('BEGIN READ ONLY; UPDATE t SET v = 5 WHERE k = 2'), qr/ERROR:  25006:/, 'a read-only transaction stays one');
$one->run('ROLLBACK');

# Waiting for a row.
$one->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 3');
$two->send('UPDATE t SET v = v + 1 WHERE k = 3');
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'the second writer of a row waits');
$one->run('COMMIT');
is($two->wait, '', '... until the first has committed');
is($two->run('SELECT v FROM t WHERE k = 3'), 2, '... and sees its work');
$one->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 3');
like($two->run("SET lock_timeout = '100ms'; UPDATE t SET v = v + 1 WHERE k = 3; RESET lock_timeout"),
	qr/ERROR:  55P03: canceling statement due to lock timeout/, 'lock_timeout holds on the node');
$two->run('RESET lock_timeout');
$two->send('UPDATE t SET v = v + 1 WHERE k = 3');
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'a writer waits');
$c->sql('c', 'SELECT pg_cancel_backend(' . $two->backend . ')');
like($two->wait, qr/ERROR:  57014:/, '... and can be cancelled');
is(waiting(), 0, '... on the node too');
$one->run('ROLLBACK');

# Rows that are locked by another column than the key, whoever answers the query.
$c->sql('c', "CREATE TABLE other (k int, w int); SELECT create_distributed_table('other', 'k', colocate_with => 'none', shard_count => 3)");
$c->sql('c', 'INSERT INTO other SELECT g, g FROM generate_series(1, 20) g');
foreach my $query (
	"SELECT k FROM t WHERE filler LIKE 'x%' AND v = 2 AND k IN (2, 3) LIMIT 5 FOR UPDATE",
	'SELECT t.k FROM t JOIN other o ON o.w = t.k WHERE t.k BETWEEN 3 AND 4 AND o.w = 3 FOR UPDATE OF t')
{
	is($one->run("BEGIN; $query"), 3, "a row is locked: $query");
	like($two->run('BEGIN; SELECT v FROM t WHERE k = 3 FOR SHARE NOWAIT'), qr/ERROR:  55P03:/, '... so nobody else can');
	$two->run('ROLLBACK');
	is($two->run('SELECT k FROM t WHERE k IN (2, 3) FOR UPDATE SKIP LOCKED'), 2, '... and who skips it does not see it');
	$two->send('UPDATE t SET v = v WHERE v = 2 AND k = 3');
	ok(PgCluster::wait_until(sub { waiting() == 1 }), '... and who changes it waits');
	$one->run('COMMIT');
	is($two->wait, '', '... until then');
}
$one->run('BEGIN; UPDATE t SET v = 7 WHERE k = 3');
$two->send('SELECT k, v FROM t WHERE v IN (2, 7) AND k < 4 FOR UPDATE');
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'who locks rows waits for who changes one');
$one->run('COMMIT');
like($two->wait, qr/^3\|7$/m, '... and gets it as it is then');
$one->run('UPDATE t SET v = 2 WHERE k = 3');

# A deadlock on one node is that node's to find.
$one->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 4');
my $node = $one->run('EXPLAIN SELECT 1 FROM t WHERE k = 4') =~ /Node: (\S+)/ ? $1 : '';
my ($key) = grep { $one->run("EXPLAIN SELECT 1 FROM t WHERE k = $_") =~ /Node: \Q$node\E/ } 6 .. 50;
$two->run("BEGIN; UPDATE t SET v = v + 1 WHERE k = $key");
$one->send("UPDATE t SET v = v + 1 WHERE k = $key");
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'one waits for two');
$two->send('UPDATE t SET v = v + 1 WHERE k = 4');
my $answers = $two->wait . $one->wait;
like($answers, qr/ERROR:  40P01: deadlock detected/, 'a deadlock on a node ends with an error');
$_->run('ROLLBACK') foreach $one, $two;

# What the views say of such things.
$one->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 4');
$two->send('UPDATE t SET v = v + 1 WHERE k = 4');
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'one waits for another');
is($c->sql('c', 'SELECT waiting_pid, blocking_pid FROM cluster_lock_waits'), $two->backend . '|' . $one->backend,
	'cluster_lock_waits shows who waits for whom');
is($c->sql('c', "SELECT pid, state FROM cluster_activity WHERE wait_event_type = 'Lock'"), $two->backend . '|active',
	'cluster_activity shows what a session does on a node');
is($c->sql('c', 'SELECT count(*) = 4, count(DISTINCT transaction_id) = 2, count(DISTINCT pid) = 2 FROM cluster_activity WHERE xact_start IS NOT NULL AND pid IN ('
	  . $one->backend . ',' . $two->backend . ')'), 't|t|t', '... and one id for what a transaction does here and there');
is($c->sql('c', 'SELECT count(*) FROM cluster_lock_waits w JOIN cluster_activity a ON a.transaction_id = w.blocking_transaction_id AND a.group_id = 0 AND a.pid = ' . $one->backend), 1,
	'... which cluster_lock_waits shows too');
$one->run('ROLLBACK');
$two->wait;
is($c->sql('c', 'SELECT count(*) FROM cluster_prepared_transactions'), 0, 'nothing is prepared');
$c->sql('c', 'CREATE ROLE watcher LOGIN IN ROLE pg_monitor');
my $records = $c->sql('c', 'SELECT count(*) FROM pgcluster.two_phase_record');
is($c->sql('c', 'SET SESSION AUTHORIZATION watcher; SELECT count(*) FROM cluster_lock_waits'), 0, 'a monitor may look');
$c->stop_node('w2');
is($c->sql('c', 'SELECT count(*) FROM cluster_lock_waits'), 0, 'a node that is down is left out');
$c->start_node('w2');
cmp_ok($c->sql('c', 'SELECT count(*) FROM pgcluster.two_phase_record'), '<=', $records, 'looking takes no two-phase commit');

# One over two nodes is seen by neither of them.
($key) = grep { $one->run("EXPLAIN SELECT 1 FROM t WHERE k = $_") !~ /Node: \Q$node\E/ } 6 .. 50;
$one->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 4');
$two->run("BEGIN; UPDATE t SET v = v + 1 WHERE k = $key");
$one->send("UPDATE t SET v = v + 1 WHERE k = $key");
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'one waits for two on a node');
$two->send('UPDATE t SET v = v + 1 WHERE k = 4');
my $ended = $two->wait;
like($ended, qr/ERROR:  40P01: deadlock detected/, 'a deadlock over two nodes ends with an error for the younger');
my ($a, $b) = ($one->backend, $two->backend);
like($ended, qr/Process $a waits for process $b on group \d: UPDATE t SET v = v \+ 1 WHERE k = $key/, '... which shows the circle');
like($ended, qr/Process $b waits for process $a on group \d: UPDATE t SET v = v \+ 1 WHERE k = 4/, '... with the queries');
is($one->wait, '', '... and the older goes on');
$_->run('ROLLBACK') foreach $one, $two;

# Others, who have named their sessions on a node like these, are believed nothing.
my $name = $c->sql('w1', q{SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'pgcluster\_0\_%' LIMIT 1});
my ($fake_a, $fake_b, $third) = map { PgCluster::Session->new($c, $_) } qw(w1 w1 c);
my $circles = sub { scalar(() = PgCluster::read_file($c->node('c')->{log}) =~ /process $b ends its own/g) };
$fake_a->run("SET application_name = '" . $name =~ s/^pgcluster_0_\d+/pgcluster_0_$a/r . q{'; SELECT pg_advisory_lock(1)});
$fake_b->run("SET application_name = '" . $name =~ s/^pgcluster_0_\d+/pgcluster_0_$b/r . q{'});
$fake_b->send('SELECT pg_advisory_lock(1)');
$third->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 4');
$one->run('BEGIN');
$two->run("SET deadlock_timeout = '100ms'; BEGIN; UPDATE t SET v = v + 1 WHERE k = $key");
my $seen = $circles->();
$two->send('UPDATE t SET v = v + 1 WHERE k = 4');
$one->send("UPDATE t SET v = v + 1 WHERE k = $key");
ok(PgCluster::wait_until(sub { $circles->() > $seen + 1 }), 'a circle that is made up is seen, more than once');
$third->run('COMMIT');
is($two->wait, '', '... but the one that was to end it goes on');
$two->run('ROLLBACK; RESET deadlock_timeout');
is($one->wait, '', '... and so does the other');
$one->run('ROLLBACK');
$_->close foreach $fake_a, $fake_b, $third;

# One over a node and the coordinator's own tables.
$c->sql('c', 'CREATE TABLE l AS SELECT 1 AS k, 0 AS v');
$one->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 4');
$two->run('BEGIN; UPDATE l SET v = 1');
$two->send('UPDATE t SET v = v + 1 WHERE k = 4');
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'two waits for one on a node');
$one->send('UPDATE l SET v = 1');
like($two->wait, qr/ERROR:  40P01: deadlock detected/, 'a deadlock with the coordinator ends with an error for the younger');
is($one->wait, '', '... and the older goes on');
$_->run('ROLLBACK') foreach $one, $two;

# ... in which the younger one waits for a local lock, where nothing can be told.
$one->run('BEGIN; UPDATE l SET v = 1');
$two->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 4');
$one->send('UPDATE t SET v = v + 1 WHERE k = 4');
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'one waits for two on a node');
$two->send('UPDATE l SET v = 1');
like($one->wait, qr/ERROR:  40P01: deadlock detected.*Process \d+ waits for process \d+ here: UPDATE l SET v = 1/s, 'who waits for a node is told');
is($two->wait, '', '... and the other one goes on');
$_->run('ROLLBACK') foreach $one, $two;

# Cursors stay open while other statements use the same connections.
$one->run('BEGIN; DECLARE a CURSOR FOR SELECT k FROM t; DECLARE b CURSOR FOR SELECT k, v FROM t WHERE k > 10');
$one->run('FETCH 10 a; FETCH 10 b; UPDATE t SET v = 77 WHERE k = 20; SAVEPOINT s; FETCH 10 a');
like($one->run('SELECT 1 / (v - 77) FROM t WHERE k = 20'), qr/ERROR:  22012:/, 'a statement fails');
$one->run('ROLLBACK TO s');
is(scalar(my @rows = split /\n/, $one->run('FETCH ALL b')), 4980, 'a cursor outlives it with all its rows');
is($one->run('SELECT v FROM t WHERE k = 20'), 77, '... and so does what was written before');
$one->run('COMMIT');
is($two->run('SELECT v FROM t WHERE k = 20'), 77, '... after the commit too');

# Subtransactions, committed and not, on several nodes.
$one->run(<<'END');
DO $$
BEGIN
	FOR i IN 6001..6020 LOOP
		BEGIN
			INSERT INTO t VALUES (i, 1);
			IF i % 2 = 0 THEN RAISE EXCEPTION 'even'; END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
END $$
END
is($two->run('SELECT count(*), sum(k % 2) FROM t WHERE k > 6000'), '10|10', 'exception blocks keep what they should');

# Early ends: the rest of the answer must not reach the next statement.
is($one->run('SELECT k > 0 FROM t LIMIT 1'), 't', 'a first row') foreach 1 .. 3;
is($one->run('BEGIN; SELECT k > 0 FROM t LIMIT 1; UPDATE t SET v = 9 WHERE k = 9; SELECT v FROM t WHERE k = 9; COMMIT'),
	"t\n9", '... in a transaction too');

# Sorted streams: merged as they come, kept when a connection is needed, and sorted here where a node sorts otherwise.
$one->run('SET work_mem = 64; SET enable_hashjoin = off; SET enable_nestloop = off');
$c->sql('c', 'CREATE TABLE numbers (k int, v int); SELECT create_distributed_table(\'numbers\', \'k\'); INSERT INTO numbers SELECT g, 5001 - g FROM generate_series(1, 5000) g');
is($one->run('SELECT count(*), sum(a.k * b.k) FROM t a JOIN numbers b ON a.k = b.v'), '5000|20845835000', 'a merge join of two streams from the same nodes');
is($one->run('SELECT bool_and(k = n) FROM (SELECT k, row_number() OVER (ORDER BY k) AS n FROM numbers) x'), 't', 'a window over a sorted stream');
$one->run('RESET work_mem; RESET enable_hashjoin; RESET enable_nestloop');
$c->sql('c', <<'END');
CREATE COLLATION upper_first (PROVIDER = icu, LOCALE = 'en-u-kf-upper');
CREATE TABLE words (k int, w text COLLATE upper_first);
SELECT create_distributed_table('words', 'k');
INSERT INTO words SELECT g, CASE g % 2 WHEN 0 THEN 'a' ELSE 'A' END || g / 2 FROM generate_series(2, 41) g;
END
my $sorted = q{SELECT string_agg(w, ' ') FROM (SELECT w FROM words ORDER BY w) x};
my $in_order = $one->run($sorted);
like($in_order, qr/^A1 a1 A10 a10 A11/, 'rows in the order of a collation');
my $locale = $c->sql('w1', q{SELECT attname FROM pg_attribute WHERE attrelid = 'pg_collation'::regclass AND attname IN ('colliculocale', 'colllocale')});
$c->sql('w1', "UPDATE pg_collation SET $locale = 'en-u-kf-lower' WHERE collname = 'upper_first'");
is(PgCluster::Session->new($c, 'c')->run($sorted), $in_order, '... that is not the same on a node');

# Roles: another user, one that cannot log in, a function of another owner.
$c->sql($_, q{CREATE ROLE "an owner" NOLOGIN; CREATE ROLE alice LOGIN IN ROLE "an owner"; CREATE ROLE bob LOGIN}) foreach qw(w1 w2 c);
$c->sql('c', <<'END');
CREATE FUNCTION who() RETURNS text LANGUAGE sql AS
    $$SELECT concat_ws(',', r[1], r[2]) FROM pgcluster.query_on_group(1, 'SELECT session_user, current_user') r$$;
CREATE FUNCTION who_defines() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT who()';
GRANT EXECUTE ON FUNCTION pgcluster.query_on_group TO "an owner", bob;
END
is($one->run('SELECT who()'), 'postgres,postgres', 'a node is used as the present user');
is($one->run('SET SESSION AUTHORIZATION alice; SELECT who()'), 'alice,alice', '... another one');
is($one->run('SET ROLE "an owner"; SELECT who()'), 'alice,an owner', '... a role that cannot log in');
is($one->run('SELECT who_defines()'), 'postgres,postgres', '... the owner of a function');
is($one->run('RESET ROLE; SET SESSION AUTHORIZATION bob; SELECT who()'), 'bob,bob', '... and again another one');

# What runs on a node is cancelled there, whatever role the session has taken on.
$c->sql('c', 'GRANT ALL ON t TO "an owner"');
$two->run('BEGIN; UPDATE t SET v = v + 1 WHERE k = 3');
$one->run('RESET SESSION AUTHORIZATION; SET SESSION AUTHORIZATION alice; SET ROLE "an owner"; BEGIN; UPDATE t SET v = v WHERE k > 4900; SAVEPOINT s');
$one->send('UPDATE t SET v = v + 1 WHERE k = 3');
ok(PgCluster::wait_until(sub { waiting() == 1 }), 'a session that has taken on a role waits');
$c->sql('c', 'SELECT pg_cancel_backend(' . $one->backend . ')');
like($one->wait, qr/ERROR:  57014:/, '... and is cancelled');
is($one->run('ROLLBACK TO s; SELECT v FROM t WHERE k = 2; COMMIT'), 0, '... without losing its transaction');
$two->run('ROLLBACK');

# A database is not kept from being dropped by the maintenance worker.
$c->sql('c', 'CREATE DATABASE other');
$c->sql('c', 'CREATE EXTENSION pgcluster', db => 'other');
ok($c->poll('c', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'other' AND backend_type = 'pgcluster maintenance'}),
	'a database with the extension has a maintenance worker');
$c->sql('c', 'CREATE DATABASE copy TEMPLATE other');
$c->sql('c', 'ALTER DATABASE other RENAME TO another');
$c->sql('c', 'DROP DATABASE another');
pass('... which steps aside');

$_->close foreach $one, $two;
done_testing();
