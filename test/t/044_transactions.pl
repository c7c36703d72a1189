# What a transaction means on one server it means on several: the same scripts
# run on distributed, reference and local tables, and on plain ones, and say the
# same.

use strict;
use warnings;

use PgCluster;
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
my $tables = <<'END';
CREATE TABLE t (k int PRIMARY KEY, v int CHECK (v >= 0));
CREATE TABLE child (k int, n int, PRIMARY KEY (k, n), FOREIGN KEY (k) REFERENCES t DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE r (k int PRIMARY KEY, v int);
CREATE TABLE l (k int PRIMARY KEY, v int);
END
my $rows = <<'END';
INSERT INTO t SELECT g, g FROM generate_series(1, 20) g;
INSERT INTO r VALUES (1, 1), (2, 2);
INSERT INTO l VALUES (1, 1), (2, 2);
CREATE FUNCTION try(key int, value int, fails boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE t SET v = value WHERE k = key;
    UPDATE t SET v = v + 1;
    UPDATE r SET v = v + 1;
    UPDATE l SET v = v + 1;
    IF fails THEN INSERT INTO t VALUES (key, 0); END IF;
    RETURN 'done';
EXCEPTION WHEN unique_violation OR check_violation THEN
    RETURN SQLSTATE;
END $$;
GRANT ALL ON t, child, r, l TO app, definer;
CREATE FUNCTION raise(key int) RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE t SET v = v + 100 WHERE k = key;
    RETURN current_user || (SELECT sum(v) FROM t);
END $$;
ALTER FUNCTION raise(int) OWNER TO definer;
GRANT ALL ON t, child, r, l TO owner;
CREATE FUNCTION lower_it(key int) RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE t SET v = v - 1 WHERE k = key;
    UPDATE t SET v = v - 1 WHERE k > 15;
    UPDATE r SET v = v - 1;
    RETURN current_user || (SELECT sum(v) FROM t) || (SELECT count(*) FROM t JOIN r USING (k));
END $$;
ALTER FUNCTION lower_it(int) OWNER TO owner;
END
$c->sql('c', 'CREATE ROLE app LOGIN');
$c->sql('c', 'CREATE ROLE definer LOGIN');
$c->sql('c', 'CREATE ROLE owner');
$c->sql('c', 'CREATE DATABASE plain');
$c->sql('c', "$tables$rows", db => 'plain');
$c->sql('c', "$tables SELECT create_distributed_table('t', 'k', shard_count => 8); SELECT create_distributed_table('child', 'k', colocate_with => 't', shard_count => 8); SELECT create_reference_table('r'); $rows");

my $all = q{SELECT (SELECT count(*) FROM t), (SELECT sum(v) FROM t), (SELECT sum(v) FROM r), (SELECT sum(v) FROM l), (SELECT count(*) FROM child)};

# name, what is said in one session
my @scripts = (
	[ 'savepoints' => <<"END" ],
BEGIN; UPDATE t SET v = v + 1; SAVEPOINT a; UPDATE t SET v = v + 10; UPDATE r SET v = 5; UPDATE l SET v = 5; $all;
SAVEPOINT b; DELETE FROM t; $all; ROLLBACK TO b; $all; ROLLBACK TO a; $all; INSERT INTO t VALUES (30, 30), (31, 31); RELEASE a; $all; ROLLBACK; $all;
BEGIN; SAVEPOINT a; INSERT INTO t SELECT g, g FROM generate_series(40, 50) g; RELEASE a; SAVEPOINT a; DELETE FROM t WHERE k > 45; ROLLBACK TO a; COMMIT; $all;
END
	[ 'errors after savepoints' => <<"END" ],
BEGIN; SAVEPOINT a; INSERT INTO t VALUES (1, 1); SELECT 1; ROLLBACK TO a; UPDATE t SET v = 0 WHERE k = 1; SAVEPOINT b; UPDATE t SET v = v - 3; ROLLBACK TO b; $all; COMMIT; $all;
BEGIN; UPDATE t SET v = 7 WHERE k IN (1, 2, 3, 4, 5); INSERT INTO t VALUES (2, 2); COMMIT; $all;
END
	[ 'users within a transaction' => <<"END" ],
BEGIN; UPDATE t SET v = 1; SET LOCAL ROLE app; $all; UPDATE t SET v = v + 1; SELECT raise(1); $all; RESET ROLE; UPDATE t SET v = v + 1; $all; COMMIT; $all;
BEGIN; SET LOCAL ROLE app; UPDATE t SET v = v + 1 WHERE k = 5; SAVEPOINT a; SELECT raise(5), raise(6); ROLLBACK TO a; SELECT current_user; UPDATE t SET v = v + 1; RESET ROLE; DELETE FROM t WHERE k = 20; SET LOCAL ROLE definer; $all; COMMIT; $all;
BEGIN; GRANT SELECT ON t TO pg_monitor; SET LOCAL ROLE pg_monitor; SELECT count(*) FROM t; DELETE FROM t; ROLLBACK; $all;
SET ROLE app; SELECT raise(k) FROM generate_series(2, 3) k; $all; BEGIN; SELECT raise(4); INSERT INTO l VALUES (9, 9);
INSERT INTO child VALUES (4, 4), (77, 7); SELECT raise(4); COMMIT; RESET ROLE; $all;
END
	[ 'an owner that cannot log in' => <<"END" ],
SET SESSION AUTHORIZATION app; SELECT lower_it(3); $all; SELECT lower_it(4) || raise(4) || lower_it(4); $all;
BEGIN; UPDATE t SET v = v + 3; SELECT lower_it(5); UPDATE t SET v = v + 3; SAVEPOINT a; SELECT lower_it(6); ROLLBACK TO a; SELECT lower_it(7); $all; COMMIT; $all;
BEGIN; SELECT lower_it(1); SELECT lower_it(1); UPDATE t SET v = -1; COMMIT; $all; RESET SESSION AUTHORIZATION;
END
	[ 'exception blocks' => <<"END" ],
SELECT try(1, 5, false), try(2, 5, true), try(3, -5, false); $all;
BEGIN; SELECT try(k, k, k % 2 = 0) FROM generate_series(1, 6) k; $all; SELECT try(7, -1, false); COMMIT; $all;
BEGIN; SELECT try(4, 0, true); SELECT try(4, 0, false); ROLLBACK; $all;
END
	[ 'deferred constraints' => <<"END" ],
BEGIN; INSERT INTO child VALUES (60, 1), (61, 1), (1, 1); INSERT INTO t VALUES (60, 60), (61, 61); COMMIT; $all;
BEGIN; INSERT INTO child VALUES (2, 2), (70, 1); UPDATE l SET v = 77; COMMIT; $all;
BEGIN; SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO child VALUES (71, 1); ROLLBACK; $all;
BEGIN; SELECT count(*) > 0 FROM t; INSERT INTO child VALUES (71, 1), (72, 1); SAVEPOINT a; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO a; SELECT count(*) FROM child WHERE k > 70; INSERT INTO child VALUES (73, 1); ROLLBACK;
BEGIN; SAVEPOINT a; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO a; INSERT INTO child VALUES (74, 1); SET CONSTRAINTS ALL DEFERRED; INSERT INTO child VALUES (75, 1); ROLLBACK;
BEGIN; SAVEPOINT a; SET CONSTRAINTS ALL IMMEDIATE; RELEASE a; INSERT INTO child VALUES (76, 1); ROLLBACK;
BEGIN; SAVEPOINT a; INSERT INTO child VALUES (72, 1); ROLLBACK TO a; COMMIT; $all;
BEGIN; INSERT INTO child VALUES (3, 3); INSERT INTO child VALUES (73, 1); DELETE FROM child WHERE k = 73; COMMIT; $all;
END
	[ 'settings' => <<"END" ],
BEGIN; SET LOCAL timezone = 'Asia/Tokyo'; SELECT DISTINCT '2026-01-01 00:00+00'::timestamptz + v * '0 s'::interval FROM t; SAVEPOINT a; SET LOCAL timezone = 'UTC';
SELECT min('2026-01-01 00:00+00'::timestamptz + v * '0 s'::interval) FROM t; ROLLBACK TO a; SELECT min('2026-01-01 00:00+00'::timestamptz + v * '0 s'::interval)::text FROM t; COMMIT;
SELECT min(('2026-01-01 00:00+00'::timestamptz + v * '0 s'::interval)::text) = ('2026-01-01 00:00+00'::timestamptz)::text FROM t;
BEGIN; SET LOCAL datestyle = 'german'; SELECT min(('2026-02-01'::date + v * 0)::text) FROM t; ROLLBACK; SELECT min(('2026-02-01'::date + v * 0)::text) FROM t;
END
	[ 'modes' => <<"END" ],
BEGIN READ ONLY; UPDATE t SET v = 1 WHERE k = 1; ROLLBACK; BEGIN; SELECT count(*) > 1 FROM t; SET TRANSACTION READ ONLY; DELETE FROM t; ROLLBACK;
BEGIN; SELECT count(*) > 1 FROM t; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE; UPDATE t SET v = v + 1 WHERE k = 1; UPDATE t SET v = v + 1 WHERE k = 2; COMMIT; $all;
START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY, DEFERRABLE; SELECT count(*) > 1 FROM t; COMMIT AND CHAIN; SELECT count(*) > 1 FROM t; SHOW transaction_isolation; ROLLBACK;
END
	[ 'cursors' => <<"END" ],
BEGIN; DECLARE a CURSOR FOR SELECT k FROM t ORDER BY k; FETCH 2 FROM a; SAVEPOINT s; UPDATE t SET v = v + 1; FETCH 2 FROM a; ROLLBACK TO s; FETCH 2 FROM a; MOVE 5 FROM a; FETCH a; COMMIT;
BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT k FROM t ORDER BY k; DELETE FROM t WHERE k = 1; ROLLBACK; FETCH h;
BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT k FROM t WHERE k < 5 ORDER BY k; UPDATE t SET v = 2 WHERE k = 2; COMMIT; FETCH 3 FROM h; DELETE FROM t WHERE k = 2; FETCH 3 FROM h; CLOSE h; $all;
BEGIN; SAVEPOINT s; DECLARE x CURSOR FOR SELECT k FROM t ORDER BY k; FETCH x; ROLLBACK TO s; FETCH x; ROLLBACK;
END
	[ 'procedures that commit' => <<"END" ],
DO \$\$ BEGIN FOR i IN 1..6 LOOP UPDATE t SET v = 100 + i WHERE k = i; UPDATE r SET v = v + 1; IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF; END LOOP; END \$\$; $all;
DO \$\$ DECLARE x record; BEGIN FOR x IN SELECT k FROM t ORDER BY k LIMIT 5 LOOP UPDATE t SET v = 0 WHERE k = x.k; COMMIT; END LOOP; END \$\$; $all;
END
	[ 'prepared by the user' => <<"END" ],
BEGIN; UPDATE t SET v = v + 1; UPDATE l SET v = v + 1; PREPARE TRANSACTION 'p'; $all; COMMIT PREPARED 'p'; $all;
BEGIN; DELETE FROM t; PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p'; $all; COMMIT PREPARED 'p';
BEGIN; SELECT count(*) > 1 FROM t; PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p';
BEGIN; INSERT INTO child VALUES (80, 1); PREPARE TRANSACTION 'p'; $all; ROLLBACK PREPARED 'p';
END
	[ 'tables that come and go' => <<"END" ],
BEGIN; TRUNCATE t, child; INSERT INTO t VALUES (1, 1); $all; ROLLBACK; $all; BEGIN; ALTER TABLE t ADD COLUMN c int DEFAULT 3; UPDATE t SET c = 4 WHERE k = 3; SELECT sum(c) > 3 FROM t; SAVEPOINT a; ALTER TABLE t DROP COLUMN c; ROLLBACK TO a; SELECT c FROM t WHERE k = 3; ROLLBACK; SELECT c FROM t;
END
);

# Of an error the node's lines and places in the server's source are left out.
sub answer
{
	my ($session, $sql) = @_;
	my $answer = $session->run($sql);
	$answer =~ s/^(CONTEXT|LOCATION|LINE \d+|HINT|SCHEMA NAME): .*\n?//mg;
	$answer =~ s/^(node .*group \d+|SQL statement .*|PL\/pgSQL function .*|SQL function .*|remote SQL.*)\n?//mg;
	$answer =~ s/^ +\^\n?//mg;
	# Of several rows in the wrong it may be another one that is named.
	$answer =~ s/^(DETAIL:  Failing row contains ).*/$1/mg;
	$answer =~ s/^(DETAIL:  Key \([\w, ]+\)=)\([\d, ]+\)/$1/mg;
	return $answer;
}

my %session = map { $_ => PgCluster::Session->new($c, 'c', db => $_) } qw(postgres plain);
foreach my $script (@scripts)
{
	my ($name, $sql) = @$script;
	is(answer($session{postgres}, $sql), answer($session{plain}, $sql), $name);
}
$session{postgres}->run('SET pgcluster.read_consistency = atomic');
foreach my $script (@scripts)
{
	my ($name, $sql) = @$script;
	is(answer($session{postgres}, $sql), answer($session{plain}, $sql), "$name, again, reading atomically");
}
ok($c->poll($_, 'SELECT count(*) = 0 FROM pg_prepared_xacts'), "nothing is prepared on $_") foreach qw(c w1 w2);
$_->close foreach values %session;

done_testing();
