# Dumps of a whole cluster through its coordinator: restored into one server they
# hold every row, and into another cluster they can be distributed like the first.

use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(workers => 2);
my $other = PgCluster->new(workers => 2);
$_->start foreach $c, $other;
my $plain = PgCluster->new(workers => 0, setup => 0, config => "shared_preload_libraries = ''");
$plain->start;

$c->sql('c', <<'END');
CREATE ROLE reader;
CREATE SCHEMA "odd ""one";
CREATE TABLE country (code char(2) PRIMARY KEY, name text);
CREATE TABLE customer (id bigserial PRIMARY KEY, name text, country char(2) REFERENCES country, since date DEFAULT '2020-01-01');
CREATE TABLE purchase (customer_id bigint REFERENCES customer, no integer, total numeric(10,2) CHECK (total >= 0),
    doubled numeric GENERATED ALWAYS AS (total * 2) STORED, note text, PRIMARY KEY (customer_id, no));
CREATE INDEX purchase_total ON purchase (total) WHERE total > 5;
CREATE TABLE "odd ""one"."Ta'ble" ("ke y" text PRIMARY KEY, b bytea, f float8, a text[]);
CREATE TABLE here (id integer PRIMARY KEY, v text);
SELECT create_reference_table('country');
SELECT create_distributed_table('customer', 'id', shard_count => 4);
SELECT create_distributed_table('purchase', 'customer_id', colocate_with => 'customer');
SELECT create_distributed_table('"odd ""one"."Ta''ble"', 'ke y', colocate_with => 'none', shard_count => 3);
INSERT INTO country VALUES ('DE', 'Germany'), ('FR', 'France');
INSERT INTO customer SELECT i, 'customer ' || i, CASE WHEN i % 3 > 0 THEN 'DE' ELSE 'FR' END FROM generate_series(1, 200) i;
SELECT setval('customer_id_seq', 200);
INSERT INTO purchase (customer_id, no, total, note) SELECT c, n, c * n / 10.0, CASE n WHEN 1 THEN E'tab\there\\ and\nthere' WHEN 2 THEN '' END FROM generate_series(1, 200) c, generate_series(1, 3) n;
INSERT INTO "odd ""one"."Ta'ble" SELECT 'k' || i, decode(md5(i::text), 'hex'), 1.0 / i, ARRAY['a', NULL, '"' || i] FROM generate_series(1, 50) i;
INSERT INTO here VALUES (1, 'local');
GRANT SELECT ON purchase TO reader;
COMMENT ON COLUMN purchase.total IS 'without tax';
CREATE VIEW spent AS SELECT customer_id, sum(total) AS total FROM purchase GROUP BY customer_id;
CREATE MATERIALIZED VIEW spent_then AS SELECT * FROM spent;
CREATE UNIQUE INDEX ON spent_then (customer_id);
END

my @tables = ('country', 'customer', 'purchase', '"odd ""one"."Ta\'ble"', 'here', 'spent', 'spent_then');

sub contents
{
	my ($cluster, $db) = @_;

	return join "\n", map { $cluster->sql('c', "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM $_ t", db => $db) } @tables;
}

sub dump_of
{
	my (@options) = @_;

	return $c->run("$c->{bindir}/pg_dump", '-d', $c->conninfo('c'), @options);
}

sub restore
{
	my ($cluster, $db, @options) = @_;

	return $cluster->try_run("$cluster->{bindir}/pg_restore", '-d', $cluster->conninfo('c', $db), '--exit-on-error', @options);
}

# psql that stops at the first error.
sub feed
{
	my ($cluster, $db, $sql) = @_;

	return ($cluster->try_sql('c', $sql, db => $db))[2];
}

my $rows = contents($c);
like($rows, qr/^2\|.*\n200\|.*\n600\|.*\n50\|.*\n1\|/, 'there are rows to dump');
my $commands = $c->sql('c', 'SELECT * FROM cluster_distribution_commands()');
is($commands, <<'END' =~ s/\n\z//r, 'the commands that distribute the tables');
SELECT pg_catalog.create_reference_table('public.country');
SELECT pg_catalog.create_distributed_table('public.customer', 'id', colocate_with => 'none', shard_count => 4);
SELECT pg_catalog.create_distributed_table('public.purchase', 'customer_id', colocate_with => 'public.customer');
SELECT pg_catalog.create_distributed_table('"odd ""one"."Ta''ble"', 'ke y', colocate_with => 'none', shard_count => 3);
END

# One server: roles, then everything but our extension.
my $globals = $c->run("$c->{bindir}/pg_dumpall", '-d', $c->conninfo('c'), '--globals-only');
like($globals, qr/CREATE ROLE reader/, 'pg_dumpall knows the roles');
$plain->sql('c', 'CREATE ROLE reader');
my $whole = dump_of('--extension=plpgsql');
unlike($whole, qr/pgcluster/, 'a dump without our extension does not name it');
$plain->sql('c', 'CREATE DATABASE text');
is(feed($plain, 'text', $whole), '', 'a dump in SQL goes into a plain server');
is(contents($plain, 'text'), $rows, '... with the same rows');
dump_of('--extension=plpgsql', '-Fc', '-f', "$c->{dir}/custom");
dump_of('--extension=plpgsql', '-Fd', '-j2', '-f', "$c->{dir}/directory");
foreach my $format (qw(custom directory))
{
	$plain->sql('c', "CREATE DATABASE $format");
	my ($status, $out, $err) = restore($plain, $format, '-j2', "$c->{dir}/$format");
	is($status, 0, "a dump in $format format too") or diag($err);
	is(contents($plain, $format), $rows, '... with the same rows');
}
is($plain->sql('c', q{SELECT nextval('customer_id_seq')}, db => 'text'), 201, 'sequences go on');
$plain->sql('c', 'CREATE DATABASE parts');
is(feed($plain, 'parts', dump_of('--extension=plpgsql', '--schema-only')), '', 'definitions alone');
is(feed($plain, 'parts', dump_of('--data-only') . 'REFRESH MATERIALIZED VIEW public.spent_then'), '', '... and rows alone');
is(contents($plain, 'parts'), $rows, '... make the same tables');
is(feed($plain, 'parts', "TRUNCATE here;\n" . dump_of('--data-only', '--inserts', '--table=here')), '', 'rows as INSERT');

# Another cluster: definitions, distribution, rows, and what is built on them.
$other->sql($_, 'CREATE ROLE reader') foreach $other->sql('c', q{SELECT 1 FROM pg_roles WHERE rolname = 'reader'}) ? () : 'c';
is((restore($other, undef, '--section=pre-data', "$c->{dir}/custom"))[2], '', 'definitions go into another cluster');
is(feed($other, undef, $commands), '', '... where tables are distributed');
is((restore($other, undef, '--section=data', "$c->{dir}/custom"))[2], '', '... then filled');
is((restore($other, undef, '--section=post-data', '-j2', "$c->{dir}/custom"))[2], '', '... and get indexes and constraints');
is(contents($other), $rows, 'the other cluster has the same rows');
is($other->sql('c', 'SELECT * FROM cluster_distribution_commands()'), $commands, '... distributed alike');
like(($other->try_sql('c', q{INSERT INTO purchase (customer_id, no) VALUES (999, 1)}))[2],
	qr/violates foreign key constraint "purchase_customer_id_fkey"/, '... with the same constraints');

# The whole at once: all tables are local ones, which can be distributed after.
$other->sql('c', 'CREATE DATABASE second');
is(feed($other, 'second', $whole), '', 'a whole dump goes into a database of a cluster');
is(contents($other, 'second'), $rows, '... with the same rows');

# COPY TO, in every format.
foreach my $options ('', '(FORMAT csv)', '(FORMAT csv, HEADER, DELIMITER \';\', QUOTE \'\'\'\', FORCE_QUOTE *, NULL \'none\')', '(FORMAT binary)', '(DELIMITER \'|\', NULL \'\')', '(HEADER)', '(ENCODING \'LATIN1\')')
{
	my $query = 'COPY (SELECT * FROM purchase ORDER BY customer_id, no) TO STDOUT';
	my ($ours, $theirs) = map { $_->[0]->sql('c', "$query $options", db => $_->[1]) } [$c], [ $plain, 'text' ];
	is($ours, $theirs, "COPY of a query $options");
	($ours, $theirs) = map { join "\n", sort split /\n/, $_->[0]->sql('c', "COPY purchase (no, note, customer_id) TO STDOUT $options", db => $_->[1]) } [$c], [ $plain, 'text' ];
	is($ours, $theirs, "COPY of a table $options") unless $options =~ /binary/;
}
like(($c->try_sql('c', 'COPY purchase (doubled) TO STDOUT'))[2], qr/column "doubled" is a generated column/, 'COPY does not take generated columns');

# What is made out of queries.
$c->sql('c', 'CREATE TABLE made AS SELECT * FROM spent; SELECT customer_id, total INTO made_too FROM spent WHERE customer_id < 10; CREATE TEMP TABLE passing AS TABLE customer WITH NO DATA');
is($c->sql('c', 'SELECT count(*), (SELECT count(*) FROM made_too) FROM made'), '200|9', 'CREATE TABLE AS and SELECT INTO');
$c->sql('c', 'UPDATE purchase SET total = total + 1 WHERE no = 1; REFRESH MATERIALIZED VIEW CONCURRENTLY spent_then');
is($c->sql('c', 'SELECT count(*) FROM spent_then JOIN made USING (customer_id) WHERE spent_then.total = made.total + 1'), 200, 'REFRESH MATERIALIZED VIEW CONCURRENTLY');
$c->sql('c', 'DELETE FROM purchase WHERE customer_id = 1; REFRESH MATERIALIZED VIEW spent_then');
is($c->sql('c', 'SELECT count(*) FROM spent_then'), 199, 'REFRESH MATERIALIZED VIEW');
is($c->sql('c', <<'END'), "2\n1\n2\n3\n199", 'a cursor WITH HOLD outlives its transaction, and what changes after');
BEGIN;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT customer_id FROM purchase WHERE no = 1 ORDER BY customer_id;
FETCH 1 FROM held;
COMMIT;
DELETE FROM purchase WHERE customer_id BETWEEN 2 AND 3;
INSERT INTO purchase VALUES (1, 1, 0);
MOVE ABSOLUTE 0 FROM held;
SELECT 1;
FETCH 2 FROM held;
MOVE FORWARD ALL FROM held;
SELECT 199;
CLOSE held;
END

done_testing();
