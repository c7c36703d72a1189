# COPY FROM on a distributed table and on a plain one: the same rows of what is
# right, the same error, on the same line and column, of what is wrong, in all
# formats.

use strict;
use warnings;

use PgCluster;
use POSIX qw(mkfifo);
use PgCluster::Session;
use Test::More;

my $c = PgCluster->new(workers => 2);
$c->start;
my $tables = <<'END';
CREATE TYPE color AS ENUM ('red', 'green');
CREATE TYPE place AS (town text, at timestamptz);
CREATE TABLE t (id integer NOT NULL, b integer CHECK (b < 1000), c text, d timestamptz, j jsonb, e color);
CREATE TABLE keyed (id integer PRIMARY KEY, b integer NOT NULL, gone integer, c varchar(5), g integer GENERATED ALWAYS AS (b + 1) STORED);
ALTER TABLE keyed DROP COLUMN gone;
CREATE TABLE second (b text, id text COLLATE "C", r tstzrange, p place, a date[]);
CREATE TABLE made (id integer, b integer DEFAULT 7, s serial, at timestamptz DEFAULT now(), n name);
CREATE TABLE named (id integer, r regclass);
END
my %key = (t => 'id', keyed => 'id', second => 'id', made => 'id', named => 'id');
$c->sql('c', 'CREATE DATABASE plain');
$c->sql('c', $tables, db => 'plain');
$c->sql('c', $tables . join '', map { "SELECT create_distributed_table('$_', '$key{$_}', shard_count => 6);" } sort keys %key);

my $many = join '', map { "$_\t" . $_ % 1000 . "\tline $_\t2020-01-01 00:00:00+00\t{\"a\": $_}\tred\n" } 1 .. 5000;
my $good = "1\t2\tthree\t2020-01-01 00:00:00+00\t[1]\tred\n";
my @half = split /^/, $many, 3001;

# name, table (columns), options, bytes
my @cases = (

	# text
	[ 'plain lines', 't', '', $good . "2\t\\N\t\\N\t\\N\t\\N\t\\N\n" ],
	[ 'many lines', 't', '', $many ],
	[ 'escapes', 't (id, c)', '', "1\ta\\tb\\nc\\\\d\\x41\\101\\b\\v\\f\\r\\q\n2\tx\\\ny\n3\t\\\\.\n4\t\\\\N\n" ],
	[ 'no line end at the end', 't (id, c)', '', "1\ta\n2\tb" ],
	[ 'backslash at the very end', 't (id, c)', '', "1\ta\n2\tb\\" ],
	[ 'two backslashes at the very end', 't (id, c)', '', "1\ta\n2\tb\\\\" ],
	[ 'CRLF', 't (id, c)', '', "1\ta\r\n2\tb\\r\r\n" ],
	[ 'CR', 't (id, c)', '', "1\ta\r2\tb\\n\r" ],
	[ 'end marker', 't (id, c)', '', "1\ta\n\\.\n2\tb\n" ],
	[ 'end marker with CRLF', 't (id, c)', '', "1\ta\r\n\\.\r\n2\tb\r\n" ],
	[ 'other delimiter and null', 't (id, c, b)', q{DELIMITER '|', NULL 'nil'}, "1|a\tb|nil\n2|nil|3\n3|a\\|b|\\5\n" ],
	[ 'null mark with a quote', 't (id, c)', q{NULL 'a''b\\c'}, "1\ta'b\\c\n2\ta'b\n" ],
	[ 'empty lines', 'second (id)', '', "\n\nx\n" ],
	[ 'key is not first', 'second', '', "b\tk\t[2020-01-01,2021-01-01)\t(town,2020-01-01)\t{2020-01-01}\n" ],
	[ 'columns turned round', 't (c, b, id)', '', "x\t1\t2\ny\t3\t4\n" ],
	[ 'key as hexadecimal escape', 't (id)', '', "\\x31\\062\n" ],
	[ 'times of the transaction', 't (id, d)', '', "1\tinfinity\n2\tNovember 5 2020 UTC\n3\tepoch\n" ],
	[ 'header', 't (id, c)', 'HEADER', "nonsense\n1\ta\n" ],
	[ 'header that matches', 't (id, c)', 'HEADER MATCH', "id\tc\n1\ta\n" ],
	[ 'latin1', 't (id, c)', q{ENCODING 'LATIN1'}, "1\t\xe4\xf6\n" ],
	[ 'sjis', 't (id, c)', q{ENCODING 'SJIS'}, "1\t\x83\x5c\n2\t\x95\x5c\x83\x7c\n" ],
	[ 'condition', 't (id, c)', 'WHERE id > 1', "1\ta\n2\tb\n" ],
	[ 'generated column', 'keyed (id, b, c)', '', "1\t2\tabc\n" ],
	[ 'defaults', 'made (id)', '', "1\n2\n" ],
	[ 'names', 'named', '', "1\tpg_class\n" ],
	[ 'no rows', 't', '', '' ],

	[ 'bad integer', 't', '', $good . "2\tx\t\\N\t\\N\t\\N\t\\N\n" ],
	[ 'bad integer far on', 't', '', $many . "5001\t12a\t\\N\t\\N\t\\N\t\\N\n" . $good ],
	[ 'bad integer in the middle', 't', '', join('', @half[ 0 .. 2999 ]) . "9000\t12a\t\\N\t\\N\t\\N\t\\N\n" . $half[3000] ],
	[ 'bad key', 't', '', $good . "zwei\t3\t\\N\t\\N\t\\N\t\\N\n" ],
	[ 'key out of range', 't (id)', '', "1\n99999999999\n" ],
	[ 'bad time', 't', '', $good . "2\t3\t\\N\tyester\t\\N\t\\N\n" ],
	[ 'bad json before a field that is missing', 't', '', $good . "2\t3\t\\N\t\\N\t{\"a\n\t\\N\n" ],
	[ 'bad json of one line', 't', '', $good . "2\t3\t\\N\t\\N\t{\"a\"}\t\\N\n" ],
	[ 'bad enum', 't', '', $good . "2\t3\t\\N\t\\N\t\\N\tblue\n" ],
	[ 'too few fields', 't', '', $good . "2\t3\n" ],
	[ 'too many fields', 't (id, b)', '', "1\t1\n2\t3\t4\n" ],
	[ 'empty line', 't', '', "$good\n" ],
	[ 'null key', 't (id, b)', '', "1\t1\n\\N\t3\n" ],
	[ 'null in another column', 'keyed', '', "1\t1\ta\n2\t\\N\tb\n" ],
	[ 'key given twice', 'keyed', '', "1\t1\ta\n2\t2\tb\n1\t3\tc\n" ],
	[ 'too long', 'keyed', '', "1\t1\ta\n2\t2\tabcdefg\n" ],
	[ 'check', 't (id, b)', '', "1\t1\n2\t2\n3\t1000\n" ],
	[ 'bad range', 'second', '', "b\tk\t[2021-01-01,2020-01-01)\t\\N\t\\N\n" ],
	[ 'bad composite', 'second', '', "b\tk\t\\N\t(a,b,c)\t\\N\n" ],
	[ 'bad array', 'second', '', "b\tk\t\\N\t\\N\t{2020-01-01,x}\n" ],
	[ 'newline of another kind', 't (id, c)', '', "1\ta\r\n2\tb\n" ],
	[ 'carriage return in data', 't (id, c)', '', "1\ta\n2\tb\rc\n" ],
	[ 'end marker of another kind', 't (id, c)', '', "1\ta\n2\tb\n\\.\r\n" ],
	[ 'end marker corrupt', 't (id, c)', '', "1\ta\n\\.x\n" ],
	[ 'header that does not match', 't (id, c)', 'HEADER MATCH', "id\tx\n1\ta\n" ],
	[ 'header with too few', 't (id, c)', 'HEADER MATCH', "id\n1\ta\n" ],
	[ 'invalid bytes', 't (id, c)', '', "1\ta\n2\t\xff\xfe\n" ],
	[ 'zero byte', 't (id, c)', '', "1\ta\n2\ta\0b\n" ],
	[ 'long line', 't (id, b)', '', "1\t1\n2\t" . 'x' x 300 . "\n" ],
	[ 'two wrong lines', 't (id, b)', '', join('', map { "$_\t1\n" } 1 .. 20) . "21\tx\n22\ty\n23\tz\n24\tz\n25\tz\n" ],
	[ 'a wrong value before a wrong line', 't (id, b)', '', "1\tx\n2\n" ],
	[ 'wrong name', 'named', '', "1\tpg_class\n2\tnowhere\n" ],
	[ 'wrong with a default', 'made (id, b)', '', "1\t2\n2\tx\n" ],

	# csv
	[ 'csv', 't', 'FORMAT csv', qq{1,2,"a ""b"", c",2020-01-01 00:00:00+00,"{""a"": 1}",red\n2,,,,,\n3,,"",,,\n} ],
	[ 'csv with lines in it', 't (id, c)', 'FORMAT csv', qq{1,"a\nb"\n2,"\n\\.\n"\n3,"x\r\ny"\n} ],
	[ 'csv CRLF', 't (id, c)', 'FORMAT csv, HEADER', qq{id,c\r\n1,"a\nb"\r\n2,"x\r\ny"\r\n} ],
	[ 'csv CR', 't (id, c)', 'FORMAT csv', qq{1,a\r2,"b\nc"\r} ],
	[ 'csv options', 't (id, c, b)', q{FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'nil'}, qq{1;'a\\'b\\\\';nil\n2;nil;3\n} ],
	[ 'csv FORCE_NULL', 't (id, c, b)', q{FORMAT csv, FORCE_NULL (c, b), NULL 'nil'}, qq{1,"nil","nil"\n2,nil,3\n} ],
	[ 'csv FORCE_NOT_NULL', 't (id, c)', q{FORMAT csv, FORCE_NOT_NULL (c)}, qq{1,\n2,""\n} ],
	[ 'csv HEADER MATCH', 't (id, c)', 'FORMAT csv, HEADER MATCH', qq{"id",c\n1,a\n} ],
	[ 'csv end marker', 't (id, c)', 'FORMAT csv', qq{1,a\n\\.\n2,b\n} ],
	[ 'csv backslash at the end', 't (id, c)', 'FORMAT csv', qq{1,a\\\n2,b\\} ],
	[ 'csv quoted key', 'second (b, id)', 'FORMAT csv', qq{x,"a,b"\ny,"c\nd"\n} ],
	[ 'csv of one column', 'second (id)', 'FORMAT csv', qq{a\n"\\."\n\\.x\n} ],

	[ 'csv bad integer', 't (id, b)', 'FORMAT csv', qq{1,1\n2,"x"\n} ],
	[ 'csv bad integer after lines in it', 't (id, c, b)', 'FORMAT csv, HEADER', qq{id,c,b\n1,"a\nb\nc",1\n2,x,2\n3,"\n\n",x\n} ],
	[ 'csv bad integer after CRLF', 't (id, c, b)', 'FORMAT csv', qq{1,"a\nb\r\nc",1\r\n2,x,2\r\n3,"\n\r\n",x\r\n} ],
	[ 'csv many with lines in them', 't (id, c, b)', 'FORMAT csv', join('', map { qq{$_,"a\nb",1\n} } 1 .. 3000) . "4000,c,d\n" ],
	[ 'csv unterminated', 't (id, c)', 'FORMAT csv', qq{1,a\n2,"b\n3,c\n} ],
	[ 'csv too many', 't (id, b)', 'FORMAT csv', qq{1,1\n2,2,2\n} ],
	[ 'csv too few', 't (id, b)', 'FORMAT csv', qq{1,1\n2\n} ],
	[ 'csv carriage return', 't (id, c)', 'FORMAT csv', qq{1,a\n2,b\rc\n} ],
	[ 'csv newline of another kind', 't (id, c)', 'FORMAT csv', qq{1,a\r\n2,b\n} ],
	[ 'csv null key', 't (id, c)', 'FORMAT csv', qq{1,a\n,b\n} ],
	[ 'csv empty key', 't (id, c)', 'FORMAT csv, FORCE_NOT_NULL (id)', qq{1,a\n,b\n} ],
	[ 'csv null', 'keyed', 'FORMAT csv', qq{1,1,a\n2,,b\n} ],
	[ 'csv twice', 'keyed', 'FORMAT csv', qq{1,1,a\n2,2,"b\nc"\n1,3,c\n} ],
	[ 'csv header', 't (id, c)', 'FORMAT csv, HEADER MATCH', qq{id,d\n1,a\n} ],

	# options that are wrong
	[ 'no such column', 't (id, x)', '', '' ],
	[ 'column twice', 't (id, id)', '', '' ],
	[ 'column that is generated', 'keyed (id, g)', '', '' ],
	[ 'no such option', 't', 'FOO 1', '' ],
	[ 'no such format', 't', 'FORMAT xml', '' ],
	[ 'long delimiter', 't', q{DELIMITER 'ab'}, '' ],
	[ 'quote without csv', 't', q{QUOTE '"'}, '' ],
	[ 'delimiter for binary', 't', q{FORMAT binary, DELIMITER ','}, '' ],
	[ 'header for binary', 't', q{FORMAT binary, HEADER}, '' ],
	[ 'force of no column', 't', q{FORMAT csv, FORCE_NULL (x)}, '' ],
	[ 'null mark with the delimiter', 't', q{NULL 'a|', DELIMITER '|'}, '' ],
	[ 'freeze of a table that was there', 't', 'FREEZE', $good ],
	[ 'condition on a generated column', 'keyed (id, b)', 'WHERE g > 1', '' ],
	[ 'no such encoding', 't', q{ENCODING 'none'}, '' ],
	[ 'no such file', 't', '', undef ],);

# The binary form of rows: a list of fields, undef for null.
sub binary
{
	return "PGCOPY\n\377\r\n\0" . pack('NN', 0, 0) . join('', map { row($_) } @_) . pack('n', 65535);
}

sub row
{
	my ($fields) = @_;

	return pack('n', scalar @$fields) . join '', map { defined ? pack('N/a*', $_) : pack('N', 4294967295) } @$fields;
}

sub int4 { return pack('N', $_[0]); }

my $row = row([ int4(1), int4(2) ]);
push @cases,
  [ 'binary', 't (id, b, c)', 'FORMAT binary', binary(map { [ int4($_), int4(2), "text $_" ] } 1 .. 5000) ],
  [ 'binary nulls and all types', 't', 'FORMAT binary', binary([ int4(1), undef, undef, pack('NN', 0, 0), "\1{\"a\": 1}", 'green' ]) ],
  [ 'binary columns turned round', 'second (id, b)', 'FORMAT binary', binary([ 'k', 'b' ], [ 'l', undef ]) ],
  [ 'binary default', 'made (id)', 'FORMAT binary', binary([ int4(1) ]) ],
  [ 'binary range and array', 'second (id, r)', 'FORMAT binary', binary([ 'k', "\1" ]) ],
  [ 'binary without an end', 't (id, b)', 'FORMAT binary', substr(binary([ int4(1), int4(2) ]), 0, -2) ],
  [ 'binary bad length of a value', 't (id, b)', 'FORMAT binary', binary([ int4(1), int4(2) ], [ int4(1), 'abc' ]) ],
  [ 'binary long value', 't (id, b)', 'FORMAT binary', binary([ int4(1), int4(2) ], [ int4(1), 'abcdef' ]) ],
  [ 'binary bad length of the key', 't (id, b)', 'FORMAT binary', binary([ int4(1), int4(2) ], [ 'abc', int4(2) ]) ],
  [ 'binary long key', 't (id, b)', 'FORMAT binary', binary([ int4(1), int4(2) ], [ 'abcdef', int4(2) ]) ],
  [ 'binary bad json', 't (id, j)', 'FORMAT binary', binary([ int4(1), "\1{}" ], [ int4(2), "\1{" ]) ],
  [ 'binary bad enum', 't (id, e)', 'FORMAT binary', binary([ int4(1), 'red' ], [ int4(2), 'blue' ]) ],
  [ 'binary null key', 't (id, b)', 'FORMAT binary', binary([ undef, int4(1) ]) ],
  [ 'binary null', 'keyed (id, b)', 'FORMAT binary', binary([ int4(1), undef ]) ],
  [ 'binary twice', 'keyed (id, b)', 'FORMAT binary', binary([ int4(1), int4(1) ], [ int4(2), int4(1) ], [ int4(1), int4(1) ]) ],
  [ 'binary field count', 't (id, b)', 'FORMAT binary', binary([ int4(1), int4(2) ], [ int4(3) ]) ],
  [ 'binary cut off', 't (id, b)', 'FORMAT binary', substr(binary([ int4(1), int4(2) ]), 0, -6) ],
  [ 'binary signature', 't (id, b)', 'FORMAT binary', "PGCOPX\n\377\r\n\0" . pack('NN', 0, 0) ],
  [ 'binary flags', 't (id, b)', 'FORMAT binary', "PGCOPY\n\377\r\n\0" . pack('NN', 65536, 0) ],
  [ 'binary extra header', 't (id, b)', 'FORMAT binary', "PGCOPY\n\377\r\n\0" . pack('NN', 0, 8) . 'abc' ],
  [ 'binary after the end', 't (id, b)', 'FORMAT binary', binary([ int4(1), int4(2) ]) . 'x' ],
  [ 'binary bad text', 't (id, c)', 'FORMAT binary', binary([ int4(1), "\xff" ]) ],
  [ 'binary negative length', 't (id, b)', 'FORMAT binary', "PGCOPY\n\377\r\n\0" . pack('NNnNNN', 0, 0, 2, 4, 1, 4294967290) ];

my $n = 0;
my $script = "\\set VERBOSITY default\n\\set SHOW_CONTEXT always\n\\pset null <null>\n";
foreach my $case (@cases)
{
	my ($name, $table, $options, $bytes) = @$case;
	my $file = "$c->{dir}/copy." . $n++;
	my $where = $options =~ s/^(WHERE .*)// ? $1 : '';
	my ($only) = $table =~ /^(\w+)/;

	PgCluster::write_file($file, $bytes) if defined $bytes;
	$options = "($options)" if $options ne '';
	$script .= "\\echo == $name\nTRUNCATE $only RESTART IDENTITY;\nCOPY $table FROM '$file' $options $where;\n" . ($only eq 'made'
		? "SELECT id, b, s, at = max(at) OVER () FROM made ORDER BY id, s;\n"
		: "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY id, t::text)) FROM $only t;\nSELECT * FROM $only ORDER BY id LIMIT 5;\n");
}

push @cases, map { [$_] } 'times of the transaction', 'program', 'program that fails', 'stdin', 'frozen', 'frozen, too late', 'rolled back', 'other settings', 'row security';
$script .= <<'END';
\echo == times of the transaction
BEGIN;
TRUNCATE t, second;
COPY t (id, d) FROM PROGRAM 'printf "1\tnow\n2\ttoday\n3\tTomorrow 10:00\n4\t2020-01-01\n"';
COPY second (id, r, p, a) FROM PROGRAM 'printf "1\t[now,)\t(x,now)\t{today,2020-01-01}\n"';
SELECT id, d = now(), d = current_date, d = current_date + 1 + interval '10 hours', d = '2020-01-01' FROM t ORDER BY id;
SELECT lower(r) = now(), (p).at = now(), a[1] = current_date FROM second;
COMMIT;
\echo == program
COPY t (id, b) FROM PROGRAM 'echo 7; echo 8' (DELIMITER ' ');
COPY keyed (id, b) FROM PROGRAM 'echo 7,8; echo 8,9' (FORMAT csv);
SELECT * FROM keyed WHERE id > 6 ORDER BY id;
\echo == program that fails
COPY t (id) FROM PROGRAM 'echo 17; exit 3';
SELECT count(*) FROM t WHERE id = 17;
\echo == stdin
COPY t (id, c) FROM STDIN;
21	a
22	b
\.
COPY t (id, b) FROM STDIN (FORMAT csv);
31,1
32,y
\.
SELECT id, c FROM t WHERE id > 20 ORDER BY id;
\echo == frozen
BEGIN;
TRUNCATE t, keyed;
COPY t (id, c) FROM PROGRAM 'printf "1\ta\n2\tb\n"' (FREEZE);
COPY t (id, c) FROM PROGRAM 'printf "3\ta\n4\tb\n"' WITH (FREEZE) WHERE id = 4;
COMMIT;
SELECT id, c FROM t ORDER BY id;
\echo == frozen, too late
BEGIN;
TRUNCATE t;
SAVEPOINT a;
COPY t (id, c) FROM PROGRAM 'printf "1\ta\n2\tb\n"' (FREEZE);
ROLLBACK;
\echo == rolled back
BEGIN;
COPY keyed (id, b) FROM PROGRAM 'echo 100,8; echo 101,9' (FORMAT csv);
SAVEPOINT a;
COPY keyed (id, b) FROM PROGRAM 'echo 102,8; echo 103,x' (FORMAT csv);
ROLLBACK TO a;
SELECT count(*) FROM keyed WHERE id >= 100;
COPY keyed (id, b) FROM PROGRAM 'echo 102,8; echo 104,9' (FORMAT csv);
SELECT count(*) FROM keyed WHERE id >= 100;
ROLLBACK TO a;
COMMIT;
SELECT count(*) FROM keyed WHERE id >= 100;
\echo == other settings
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Tokyo';
SET client_encoding = 'LATIN1';
COPY t (id, d) FROM PROGRAM 'printf "51\t03/02/2020 10:00\n"';
COPY t (id, c) FROM PROGRAM 'printf "52\t\344\n"';
RESET ALL;
SELECT id, d, c FROM t WHERE id > 50 ORDER BY id;
\echo == row security
SELECT 'copier_' || current_database() AS who \gset
CREATE ROLE :who;
GRANT ALL ON t TO :who;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SET ROLE :who;
COPY t (id) FROM STDIN;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
DROP OWNED BY :who;
DROP ROLE :who;
END

# The text of a session, by case.
sub outcomes
{
	my ($db) = @_;
	my $file = "$c->{dir}/copy.sql";

	PgCluster::write_file($file, $script);
	my ($status, $out) = $c->try_run('sh', '-c', qq{exec "\$0" -XqAt -d "\$1" -f "\$2" 2>&1}, "$c->{bindir}/psql", $c->conninfo('c') . " dbname=$db", $file);
	$out =~ s/^psql:\S+: //mg;
	$out =~ s/\n?^(?:CONTEXT:  )?node .*, group \d+$//mg;
	return { map { /^(.*?)\n(.*)/s ? ($1 => $2) : () } split /^== /m, $out };
}

my $plain = outcomes('plain');
my $ours = outcomes('postgres');
foreach my $case (@cases)
{
	my $name = $case->[0];

	ok(length($plain->{$name} // ''), "$name: there is an outcome") or next;
	is($ours->{$name}, $plain->{$name}, $name);
}

# What stops a COPY stops it as a whole, and the next statement works.
my ($rows, $silent) = ("$c->{dir}/copy.rows", "$c->{dir}/copy.fifo");
mkfifo($silent, 0600) or die "mkfifo $silent: $!";
PgCluster::write_file($rows, join '', map { "$_,$_,c\n" } 100_000 .. 130_000);
my $holder = PgCluster::Session->new($c, 'c');
my $session = PgCluster::Session->new($c, 'c');
my $before = $c->sql('c', 'SELECT count(*) FROM keyed');
$session->run("SET statement_timeout = '300ms'");
like($session->run("COPY keyed FROM PROGRAM 'cat $rows $silent' (FORMAT csv)"), qr/57014/, 'a COPY that waits for its source is cancelled');
$holder->run("BEGIN; INSERT INTO keyed SELECT i, i, 'h' FROM generate_series(100000, 130000, 500) i");
like($session->run("COPY keyed FROM '$rows' (FORMAT csv)"), qr/57014/, '... and one that waits for locks on the nodes');
$holder->run('ROLLBACK');
$session->run('RESET statement_timeout');
is($session->run('SELECT count(*) FROM keyed'), $before, 'nothing is half loaded');

my $worker = $c->postmaster_pid('w1');
like($session->run("COPY keyed FROM PROGRAM 'cat $rows; kill -QUIT $worker; cat $rows' (FORMAT csv)"), qr/40001|08\w{3}/, 'a node that dies ends a COPY');
$c->stop_node('w1');
$c->start_node('w1');
is($session->run('SELECT count(*) FROM keyed'), $before, 'nothing of it is there');
like($session->run("COPY keyed FROM '$rows' (FORMAT csv); SELECT count(*) - $before FROM keyed"), qr/^30001$/m, 'the next COPY works');
$_->close foreach $holder, $session;
done_testing();
