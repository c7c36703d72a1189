# With read_consistency = atomic a read sees each transaction on all nodes or
# on none: while money moves, while a commit stands still half-way, and after a
# coordinator that died between two nodes.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
$c->sql('c', <<'END');
CREATE TABLE account (k int PRIMARY KEY, v int, moves int DEFAULT 0);
SELECT create_distributed_table('account', 'k');
INSERT INTO account SELECT g, 1000 FROM generate_series(1, 100) g;
CREATE TABLE log (source int, target int);
ANALYZE account;
END

PgCluster::write_file("$c->{dir}/transfer.sql", <<'END');
\set a random(1, 100)
\set b random(1, 100)
BEGIN;
UPDATE account SET v = v - 1, moves = moves + 1 WHERE k = least(:a, :b);
UPDATE account SET v = v + 1, moves = moves + 1 WHERE k = greatest(:a, :b);
INSERT INTO log VALUES (:a, :b);
COMMIT;
END
my $pid = $c->spawn("$c->{dir}/transfer.log", 'sh', '-c',
	"until [ -e $c->{dir}/stop ]; do $c->{bindir}/pgbench -n -c 4 -T 1 --max-tries=10 -f $c->{dir}/transfer.sql '"
	  . $c->conninfo('c') . "'; done");

my $s = PgCluster::Session->new($c, 'c');
my $consistent = 'SELECT sum(v) = 100000, sum(moves) = 2 * (SELECT count(*) FROM log) FROM account';
my $by_table = 'SELECT sum(a.v) = 100000, sum(a.moves) = 2 * (SELECT count(*) FROM log) FROM account a JOIN (SELECT DISTINCT k + 0 AS k FROM account) b USING (k)';

# Asks again and again; returns the answers that differ from "right", with how often.
sub wrong
{
	my ($n, $right, @sql) = @_;
	my %seen;
	foreach (1 .. $n)
	{
		my $answer = join '/', map { $s->run($_) } @sql;
		$seen{$answer}++ if $answer ne $right;
	}
	return join '; ', map { "$seen{$_} times $_" } sort keys %seen;
}

ok($c->poll('c', 'SELECT count(*) > 100 FROM log'), 'transfers go on');
note 'with shard: ' . wrong(50, 't|t', $consistent);
$s->run('SET pgcluster.read_consistency = atomic');
is(wrong(100, 't|t', $consistent), '', 'a statement in READ COMMITTED');
is(wrong(50, 't|t', $by_table), '', '... planned by the server, reading the table twice');
is(wrong(30, 't|t/t|t', "BEGIN; $consistent", "UPDATE account SET v = v WHERE k = 1; $consistent; COMMIT"), '', '... in a block, before and after a write');
is( wrong(30, 't/t',
		'BEGIN; CREATE TEMP TABLE a ON COMMIT DROP AS SELECT 0 AS v; DECLARE x CURSOR FOR SELECT v FROM account; DECLARE y CURSOR FOR SELECT v FROM account; '
		  . q{DO $$ DECLARE x refcursor = 'x'; y refcursor = 'y'; r record; n int = 0; m int = 0; BEGIN LOOP FETCH x INTO r; EXIT WHEN NOT FOUND; n := n + r.v; FETCH y INTO r; m := m + r.v; IF n < 0 THEN PERFORM count(*) FROM account; END IF; END LOOP; IF n <> 100000 OR m <> 100000 THEN RAISE 'sums % and %', n, m; END IF; END $$; SELECT true},
		'SELECT true; COMMIT'),
	'', '... of several cursors, read in turn');
my $rr = 'BEGIN ISOLATION LEVEL REPEATABLE READ;';
is(wrong(50, 't|t/t|t', "$rr $consistent", "$by_table; COMMIT"), '', 'a transaction in REPEATABLE READ');
is( wrong(30, 't/t', "$rr SELECT count(*) > 0 FROM log", "SELECT count(*) * 2 = (SELECT sum(moves) FROM account) FROM log; COMMIT"),
	'', '... that begins with a local table');
is( wrong(30, 't/t', "$rr SELECT count(*) = 1 FROM account WHERE k = 1", "SELECT sum(v) = 100000 AND sum(moves) = 2 * (SELECT count(*) FROM log) FROM account; COMMIT"),
	'', '... that begins with one shard');
is( wrong(20, 't', "$rr UPDATE account SET v = v WHERE k = 200; SELECT sum(v) = 100000 AND sum(moves) = 2 * (SELECT count(*) FROM log) FROM account; COMMIT"),
	'', '... that begins with a write');
my $copied = join '', map { $s->run("$rr COPY log TO STDOUT") =~ tr/\n// + 1 - $s->run('SELECT sum(moves) / 2 FROM account; COMMIT') } 1 .. 10;
is($copied, '0' x 10, '... that begins with COPY');

# A snapshot that is exported is one of all nodes.
my $importer = PgCluster::Session->new($c, 'c');
my $mixed = '';
foreach (1 .. 10)
{
	my $name = $s->run("$rr SELECT pg_export_snapshot()");
	my $sums = 'SELECT sum(k * v), sum(moves), (SELECT count(*) FROM log) FROM account';
	my $theirs = $importer->run("$rr SET TRANSACTION SNAPSHOT '$name'; $sums; $consistent; COMMIT");
	my $mine = $s->run("$sums; $consistent; COMMIT");
	$mixed .= "$mine, but $theirs\n" if $mine ne $theirs || $mine !~ /\nt\|t$/;
}
is($mixed, '', 'who imports a snapshot sees on all nodes what its exporter sees');
$importer->close;
my $torn = 0;
foreach my $n (1 .. 5)
{
	$c->run("$c->{bindir}/pg_dump", '-d', $c->conninfo('c') . " options='-c pgcluster.read_consistency=atomic'",
		'-Fd', '-j', 3, '-t', 'account', '-t', 'log', '-f', "$c->{dir}/dump.$n");
	my $dump = $c->run("$c->{bindir}/pg_restore", '-f', '-', "$c->{dir}/dump.$n");
	my ($accounts) = $dump =~ /^COPY public\.account [^\n]*\n(.*?)^\\\./ms;
	my ($moves, $sum) = (0, 0);
	foreach (split /\n/, $accounts) { my (undef, $v, $m) = split /\t/; $sum += $v; $moves += $m; }
	my ($log) = $dump =~ /^COPY public\.log [^\n]*\n(.*?)^\\\./ms;
	$torn++ if $sum != 100000 || $moves != 2 * ($log =~ tr/\n//);
}
is($torn, 0, '... and so do the connections of pg_dump');

PgCluster::write_file("$c->{dir}/stop", '');
waitpid $pid, 0;
is($s->run($consistent), 't|t', 'at rest');

# Groups that a statement does not read need not be there.
$s->run("CREATE TABLE few (k int PRIMARY KEY, v int); SELECT create_distributed_table('few', 'k', colocate_with => 'none', shard_count => 1); INSERT INTO few VALUES (1, 7)");
my $group = $c->sql('c', q{SELECT DISTINCT group_id FROM cluster_shards WHERE table_name = 'few'::regclass});
my $without = 'w' . (3 - $group);
$c->stop_node($without, 'fast');
is($s->run('SELECT v FROM few ORDER BY v'), 7, 'a group that has nothing of the table is down');
$c->start_node($without);

# A commit that stands still half-way.
sub hold { return $c->hold_commits(@_); }
sub let_go { return $c->release_commits(@_); }
sub held { return $c->poll($_[0], q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}); }
my $waits = q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted};
my $all = 'SELECT min(v), max(v) FROM account';

$c->sql('c', 'UPDATE account SET v = 0; CREATE TABLE here (v int)');
hold('c');
my $writer = PgCluster::Session->new($c, 'c');
$writer->send('BEGIN; INSERT INTO here VALUES (1); UPDATE account SET v = 1; COMMIT');
ok(held('c'), 'a commit is decided and not told to anyone');
is($c->sql('c', $all), '0|0', 'who reads each shard for itself sees nothing of it');
$s->send($all);
ok($c->poll('c', $waits), 'who reads atomically waits');
$c->sql('c', 'SELECT pg_cancel_backend(' . $s->backend . ')');
like($s->wait, qr/ERROR:  57014/, '... and can be cancelled');
hold('w2');
$s->send($all);
ok($c->poll('c', $waits), 'another one waits');
let_go('c');
ok(held('w2'), 'one node has committed, the other one has not');
is($c->sql('c', $all), '0|1', 'who reads each shard for itself sees a half');

# The coordinator dies there.
$c->kill_all('c');
$s->close;
$writer->close;
$c->start_node('c');
$s = PgCluster::Session->new($c, 'c');
$s->send("SET pgcluster.read_consistency = atomic; $all");
ok($c->poll('c', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%min(v)%' AND state = 'active' AND pid <> pg_backend_pid()}),
	'an atomic read after a restart waits for what is half committed');
is($c->sql('c', $all), '0|1', '... which it is');
let_go('w2');
is($s->wait, '1|1', '... and sees it all');
$s->close;

done_testing();
