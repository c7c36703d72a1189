# Money moves between rows on different nodes while nodes die: not a coin is
# lost or made, and the coordinator's log has exactly the transfers that were.

use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
$c->sql('c', <<'END');
CREATE TABLE account (k int PRIMARY KEY, v int);
SELECT create_distributed_table('account', 'k');
INSERT INTO account SELECT g, 1000 FROM generate_series(1, 200) g;
CREATE TABLE log (source int, target int);
END
PgCluster::write_file("$c->{dir}/transfer.sql", <<'END');
\set a random(1, 200)
\set b random(1, 200)
BEGIN;
UPDATE account SET v = v - 1 WHERE k = :a;
UPDATE account SET v = v + 1 WHERE k = :b;
INSERT INTO log VALUES (:a, :b);
COMMIT;
END

# Clients that start again when they fail, until told to stop.
my $pid = $c->spawn("$c->{dir}/transfer.log", 'sh', '-c',
	"until [ -e $c->{dir}/stop ]; do $c->{bindir}/pgbench -n -c 4 -j 2 -T 1 --max-tries=10 -f $c->{dir}/transfer.sql '"
	  . $c->conninfo('c') . "'; done");

sub transfers
{
	my ($status, $n) = $c->try_sql('c', 'SELECT count(*) FROM log');
	return $status == 0 ? $n + 0 : -1;
}

my $n = 0;
foreach my $node (qw(w2 c w1 w2 c))
{
	ok(PgCluster::wait_until(sub { transfers() >= $n + 100 }), "transfers go on before $node is killed");
	$c->kill_all($node);
	$c->start_node($node);
	$n = transfers();
}
ok(PgCluster::wait_until(sub { transfers() >= $n + 100 }), 'transfers go on at the end');
PgCluster::write_file("$c->{dir}/stop", '');
waitpid $pid, 0;

ok($c->poll($_, 'SELECT count(*) = 0 FROM pg_prepared_xacts'), "nothing is prepared on $_") foreach qw(w1 w2);
is($c->sql('c', 'SELECT sum(v) FROM account'), 200_000, 'the sum is what it was');
is($c->sql('c', <<'END'), 0, 'every account is what the log says');
SELECT count(*)
FROM account FULL JOIN
    (SELECT k, sum(d) AS d FROM (SELECT source, -1 FROM log UNION ALL SELECT target, 1 FROM log) l (k, d) GROUP BY k) l USING (k)
WHERE v IS DISTINCT FROM 1000 + coalesce(d, 0)
END

done_testing();
