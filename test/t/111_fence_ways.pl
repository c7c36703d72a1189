# Every way in which a write can become durable, tried on a leader whose agent
# is stopped: each is refused, nothing stays, and the member comes back.
use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(
	groups => { 0 => 2 },
	settings => { wal_level => 'logical', max_prepared_transactions => 10, max_replication_slots => 10 });
$c->start;
my $old = $c->wait_ready(0);

$c->sql($old, <<'END');
CREATE TABLE t (i int);
CREATE TABLE applied (i int);
CREATE SEQUENCE s;
CREATE UNLOGGED TABLE u (i int);
CREATE TABLE v AS SELECT 1 AS i;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN INSERT INTO t VALUES (101); COMMIT; END';
INSERT INTO t VALUES (0);
END
$c->sql($old, 'CREATE DATABASE doomed');
$c->sql($old, 'CREATE DATABASE source');

# A subscription of the server to itself: its worker applies row 1, and waits with row 2.
$c->sql($old, <<'END', db => 'source');
CREATE TABLE applied (i int);
CREATE PUBLICATION p FOR TABLE applied;
END
$c->sql($old, "SELECT pg_create_logical_replication_slot('fenced', 'pgoutput')", db => 'source');
my $source = "host=$c->{socket_dir} port=" . $c->node($old)->{port} . ' user=postgres dbname=source';
$c->sql($old, "CREATE SUBSCRIPTION fenced CONNECTION '$source' PUBLICATION p WITH (create_slot = false, copy_data = false)");
$c->sql($old, 'INSERT INTO applied VALUES (1)', db => 'source');
ok($c->poll($old, 'SELECT count(*) FROM applied', '1'), 'a subscription is applied');

# A slot would wait for these.
$c->sql($old, <<'END');
BEGIN; INSERT INTO t VALUES (102); PREPARE TRANSACTION 'one';
BEGIN; INSERT INTO t VALUES (103); PREPARE TRANSACTION 'other';
END

my $locker = PgCluster::Session->new($c, $old);
$locker->run('BEGIN; LOCK TABLE applied');
$c->sql($old, 'INSERT INTO applied VALUES (2)', db => 'source');
ok($c->poll($old, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'applied'::regclass", '1'),
	'and waits for a lock');

my $session = PgCluster::Session->new($c, $old);
my $cursor = PgCluster::Session->new($c, $old);
$session->run("SET pgcluster.fence_wait = '100ms'");
$cursor->run("SET pgcluster.fence_wait = '100ms'; SET pgcluster.fence_reads = on; BEGIN; DECLARE c CURSOR FOR SELECT * FROM t");

my $agent = $c->agent_pid($old);
kill 'STOP', $agent;
my $new = $c->new_leader(0, $old);
isnt($new, $old, 'another member leads');

my @ways = (
	[ 'INSERT', 'INSERT INTO t VALUES (1)' ],
	[ 'a block', 'BEGIN; INSERT INTO t VALUES (2); COMMIT' ],
	[ 'asynchronous commit', 'BEGIN; SET LOCAL synchronous_commit = off; INSERT INTO t VALUES (3); COMMIT' ],
	[ 'a subtransaction', 'BEGIN; SAVEPOINT a; INSERT INTO t VALUES (4); RELEASE a; COMMIT' ],
	[ 'COMMIT AND CHAIN', 'BEGIN; INSERT INTO t VALUES (5); COMMIT AND CHAIN' ],
	[ 'a procedure that commits', 'CALL commits()' ],
	[ 'a data-modifying query', 'WITH w AS (INSERT INTO t VALUES (6) RETURNING i) SELECT * FROM w' ],
	[ 'DELETE', 'DELETE FROM t' ],
	[ 'TRUNCATE', 'TRUNCATE v' ],
	[ 'COPY', "COPY t FROM PROGRAM 'echo 7'" ],
	[ 'an unlogged table', 'INSERT INTO u VALUES (1)' ],
	[ 'a large object', 'SELECT lo_create(4711)' ],
	[ 'SELECT FOR UPDATE', 'SELECT i FROM t FOR UPDATE' ],
	[ 'DDL', 'CREATE TABLE more (i int)' ],
	[ 'CREATE INDEX CONCURRENTLY', 'CREATE INDEX CONCURRENTLY ON v (i)' ],
	[ 'a role', 'CREATE ROLE somebody' ],
	[ 'CREATE DATABASE', 'CREATE DATABASE another' ],
	[ 'DROP DATABASE', 'DROP DATABASE doomed' ],
	[ 'a setting of a database', "ALTER DATABASE doomed SET work_mem = '5MB'" ],
	[ 'DROP SUBSCRIPTION', 'DROP SUBSCRIPTION fenced' ],
	[ 'a message in a transaction', "SELECT pg_logical_emit_message(true, 'a', 'b')" ],
	[ 'PREPARE TRANSACTION', "BEGIN; INSERT INTO t VALUES (8); PREPARE TRANSACTION 'third'" ],
	[ 'COMMIT PREPARED', "COMMIT PREPARED 'one'" ],
	[ 'ROLLBACK PREPARED', "ROLLBACK PREPARED 'other'" ],
);
foreach my $way (@ways)
{
	my ($name, $sql) = @$way;

	like($session->run($sql), qr/25006/, "$name is refused");
	$session->run('ROLLBACK');
}

# The subscription's worker, which has no session.
$locker->run('ROLLBACK');
ok(PgCluster::wait_until(sub { PgCluster::read_file($c->node($old)->{log}) =~ / \[\d+\] ERROR:  cannot commit/ }),
	'what a subscription applies is refused');

# All as it was, and reads go on.
is($session->run('SELECT string_agg(i::text, $$ $$) FROM t'), '0', 'no row became visible');
is($session->run('SELECT count(*) FROM applied'), '1', 'nor one of the subscription');
is($session->run('SELECT string_agg(gid, $$ $$ ORDER BY gid) FROM pg_prepared_xacts'), 'one other',
	'what was prepared still is');
is($c->sql($old, 'SELECT 1', db => 'doomed'), '1', 'the database that was to be dropped is whole');

# Reads are refused to those who ask for it.
like($session->run('SET pgcluster.fence_reads = on; SELECT i FROM t'), qr/25006.*cannot read/, 'fence_reads: a query');
like($session->run('COPY t TO STDOUT'), qr/25006/, 'fence_reads: COPY');
like($cursor->run('FETCH c'), qr/25006/, 'fence_reads: a cursor that was open');
is($session->run('SET pgcluster.fence_reads = off; SELECT i FROM t'), '0', 'reads go on without it');

# A client that looks for a server to write to finds the new one.
my $ports = join ',', map { $c->node($_)->{port} } $old, $new;
my $found = $c->run("$c->{bindir}/psql", '-XAtq', '-c', 'SHOW port', '-d',
	"host=$c->{socket_dir},$c->{socket_dir} port=$ports user=postgres dbname=postgres target_session_attrs=read-write");
is($found, $c->node($new)->{port} . "\n", 'target_session_attrs=read-write leads to the new leader');
like(PgCluster::Session->new($c, $old)->run('SHOW transaction_read_only; INSERT INTO t VALUES (9)'),
	qr/^on\n.*25006/s, 'a new session is read-only');

# WAL that nobody has, without a commit: the member has to be rewound.
$session->run('VACUUM (FREEZE) t');
$session->run("SELECT pg_logical_emit_message(false, 'a', repeat('b', 10000)), pg_switch_wal()");
$session->run("SELECT nextval('s')");

$c->sql($new, 'INSERT INTO t VALUES (200)');
kill 'CONT', $agent;
$c->wait_streaming($old);
ok($c->poll($old, 'SELECT string_agg(i::text, $$ $$ ORDER BY i) FROM t', '0 200'), 'the member comes back with the rows of the new leader');
is($c->sql($new, 'SELECT string_agg(gid, $$ $$ ORDER BY gid) FROM pg_prepared_xacts'), 'one other',
	'transactions can be finished on the new leader');
$c->sql($new, "COMMIT PREPARED 'one'");
$c->sql($new, "ROLLBACK PREPARED 'other'");
is($c->sql($new, 'SELECT string_agg(i::text, $$ $$ ORDER BY i) FROM t'), '0 102 200', 'and they are');

$c->stop;
done_testing();
