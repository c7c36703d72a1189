# Rows that nodes exchange, while one of them is stopped or the statement is.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
$c->sql('c', <<'END');
CREATE TABLE source (id integer PRIMARY KEY, v integer, filler text);
CREATE TABLE target (v integer, id integer, filler text, PRIMARY KEY (v, id));
SELECT create_distributed_table('source', 'id', shard_count => 8), create_distributed_table('target', 'v', colocate_with => 'none', shard_count => 6);
INSERT INTO source SELECT g, g * 7919 % 100003, repeat('x', 100) FROM generate_series(1, 20000) g;
ANALYZE source;
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END$$;
CREATE TRIGGER hold BEFORE INSERT ON target FOR EACH STATEMENT EXECUTE FUNCTION hold();
END

my $s = PgCluster::Session->new($c, 'c');
my $holder = PgCluster::Session->new($c, 'w2');
my $insert = 'INSERT INTO target SELECT v, id, filler FROM source';
my $join = 'SELECT count(*), sum(b.id) FROM source a JOIN source b ON a.v = b.v';
my $waits = q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'};
my $files = q{SELECT count(*) FROM pg_ls_tmpdir()};

like($c->sql('c', "EXPLAIN $insert"), qr/rows exchanged by shard/, 'rows are exchanged');
$s->run("SET work_mem = '64kB'; SET pgcluster.join_strategy = exchange");

# Cancelled while a node writes.
sub held
{
	my ($what) = @_;

	$holder->run('SELECT pg_advisory_lock(1)');
	$s->send($insert);
	ok($c->poll('w2', $waits), "$what: a node waits");
	return;
}

held('cancel');
cmp_ok($c->sql('c', $files), '>', 0, 'what does not fit in memory is in files');
$c->sql('c', 'SELECT pg_cancel_backend(' . $s->backend . ')');
like($s->wait, qr/ERROR:  57014:/, 'the statement is cancelled');
$holder->run('SELECT pg_advisory_unlock(1)');
ok($c->poll($_, q{SELECT count(*) = 0 FROM pg_ls_tmpdir()}), "... and nothing is left on $_") foreach qw(c w1 w2);
is($s->run('SELECT count(*) FROM target'), 0, '... no row is there');

# A node dies meanwhile.
held('a node dies');
$c->restart_node('w1', 'immediate');
$holder->run('SELECT pg_advisory_unlock(1)');
like($s->wait, qr/ERROR:  (40001|08|57P)/, 'the statement fails');
is($s->run('SELECT count(*) FROM target'), 0, '... no row is there');
is($c->sql($_, 'SELECT count(*) FROM pg_prepared_xacts'), 0, "... nothing is prepared on $_") foreach qw(w1 w2);

$s->run($insert);
is($s->run('SELECT count(*), sum(v) FROM target'), $s->run('SELECT count(*), sum(v) FROM source'), 'the next one works');

# A node dies between two rows of a join, and before the next one.
my $expected = $c->sql('c', "SET pgcluster.join_strategy = pull; $join");
$s->run('BEGIN; DECLARE j CURSOR FOR SELECT a.id FROM source a JOIN source b ON a.v = b.v; FETCH 1 FROM j');
$c->restart_node('w1', 'immediate');
like($s->run('SELECT count(*) FROM source'), qr/ERROR:  40001/, 'rows that were kept for a join are lost with their node');
$s->run('ROLLBACK');
is($s->run($join), $expected, '... and the join works at the next try');
is($s->run("BEGIN; $join; SAVEPOINT a; $join; ROLLBACK TO a; $join; COMMIT"), join("\n", ($expected) x 3), '... in a block too');
ok($c->poll($_, q{SELECT count(*) = 0 FROM pg_ls_tmpdir()}), "nothing is left on $_") foreach qw(c w1 w2);

done_testing();
