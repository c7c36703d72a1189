#!/usr/bin/perl
# A program on DBI and DBD::Pg: placeholders of all kinds, arrays, bytea, COPY,
# cursors, savepoints, asynchronous queries, and what the driver asks the catalog.

use strict;
use warnings;

use DBD::Pg qw(:pg_types :async);
use DBI;

$| = 1;
my $db = DBI->connect("dbi:Pg:dbname=$ENV{PGDATABASE};host=$ENV{PGHOST};port=$ENV{PGPORT}",
	$ENV{PGUSER}, '', { RaiseError => 1, PrintError => 0, AutoCommit => 1, PrintWarn => 0 });
$db->do('SET client_min_messages = warning');
$db->do($_) foreach split /;\n/, <<'END';
CREATE TABLE genre (id int PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE book (id serial PRIMARY KEY, title text NOT NULL, genre int REFERENCES genre, price numeric(8,2) DEFAULT 9.99 CHECK (price >= 0),
	cover bytea, tags text[], printed date, sizes int[][], extra jsonb);
CREATE TABLE loan (book int REFERENCES book ON DELETE CASCADE, n int, who varchar(20), since timestamptz, PRIMARY KEY (book, n))
END
if ($ENV{DISTRIBUTED})
{
	$db->do(q{SELECT create_reference_table('genre')});
	$db->do(q{SELECT create_distributed_table('book', 'id')});
	$db->do(q{SELECT create_distributed_table('loan', 'book', colocate_with => 'book')});
}

sub show
{
	my ($title, @rows) = @_;

	print "-- $title\n";
	print join('|', map { ref $_ eq 'ARRAY' ? '{' . join(',', map { ref $_ ? '[' . join(',', @$_) . ']' : $_ // 'null' } @$_) . '}' : $_ // 'null' } ref $_ ? @$_ : $_), "\n"
	  foreach @rows;
	return;
}

sub rows { my ($sql, @values) = @_; return @{ $db->selectall_arrayref($sql, undef, @values) }; }

sub fails
{
	my ($title, $action) = @_;

	eval { $action->(); 1 } and return print "-- $title: no error\n";
	return print "-- $title: ", $db->state, "\n";
}

$db->do('INSERT INTO genre VALUES (?, ?)', undef, @$_) foreach [ 1, 'novel' ], [ 2, 'poem' ], [ 3, "it's" ];
my $insert = $db->prepare('INSERT INTO book (title, genre, price, cover, tags, printed, sizes, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id');
$insert->bind_param(4, undef, { pg_type => PG_BYTEA });
foreach my $i (1 .. 40)
{
	$insert->execute("book $i", 1 + $i % 3, $i * 1.5, join('', map { chr(($i * $_) % 256) } 0 .. 9),
		$i % 4 ? [ "t$i", 'a "quoted", one', undef ] : undef, sprintf('2020-%02d-01', 1 + $i % 12), [ [ $i, 2 ], [ 3, $i ] ], qq({"n": $i, "odd": [${\ ($i % 2)}]}));
	my ($id) = $insert->fetchrow_array;
	show('ids', $id) if $i % 10 == 0;
}
show('last', $db->last_insert_id(undef, 'public', 'book', 'id'));
$db->do('COPY loan FROM STDIN');
$db->pg_putcopydata(join("\t", 1 + $_ % 40, int($_ / 40), $_ % 7 ? "reader $_" : '\N', "2024-01-01 00:00:00+00") . "\n") foreach 0 .. 119;
$db->pg_putcopyend;

$db->{pg_server_prepare} = 1;
my $one = $db->prepare('SELECT title, price, cover, tags, sizes, extra FROM book WHERE id = $1');
foreach my $id (1 .. 9, 400)
{
	$one->execute($id);
	show("book $id", map { [ $_->[0], $_->[1], unpack('H*', $_->[2]), $_->[3], $_->[4], $_->[5] ] } @{ $one->fetchall_arrayref });
}
show('names', rows('SELECT count(*), min(title) FROM book WHERE price > :least AND genre = ANY(:genres)' =~ s/:least/?/r =~ s/:genres/?/r, 20, [ 1, 2 ]));
show('dollars', rows('SELECT g.name, count(*), sum(b.price), array_agg(b.id ORDER BY b.id DESC) FROM book b JOIN genre g ON g.id = b.genre WHERE b.id <> $1 GROUP BY 1 ORDER BY 1', 5));
show('loans', rows('SELECT b.title, count(l.who), max(l.who) FROM book b LEFT JOIN loan l ON l.book = b.id AND l.n < ? GROUP BY b.id ORDER BY b.id LIMIT 7', 2));
show('other join', rows('SELECT count(*) FROM book b JOIN loan l ON b.genre = l.n'));
show('keys', sort { $a <=> $b } map { $_->[0] } rows('SELECT id FROM book WHERE id IN (?, ?, ?, ?)', 3, 17, 30, 99));
show('escaped', rows(q{SELECT E'a\\\\b', 'it''s', id FROM book WHERE title = ?}, 'book 7'));
show('hash', map { my $h = $_; map { "$_=$h->{$_}" } sort keys %$h } @{ $db->selectall_arrayref('SELECT id, title, genre FROM book WHERE id < 3 ORDER BY id', { Slice => {} }) });

$db->begin_work;
$db->do('UPDATE book SET price = price + 1 WHERE id = ?', undef, 4);
$db->pg_savepoint('s');
$db->do('UPDATE book SET price = 0');
show('in savepoint', rows('SELECT sum(price) FROM book'));
$db->pg_rollback_to('s');
$db->pg_release('s');
$db->do('DECLARE c SCROLL CURSOR FOR SELECT id, price FROM book ORDER BY price, id');
show('cursor', rows('FETCH 3 FROM c'), rows('FETCH LAST FROM c'), rows('FETCH BACKWARD 2 FROM c'));
$db->do('CLOSE c');
$db->commit;
show('rows', $db->do('UPDATE book SET tags = array_append(tags, ?) WHERE price < ?', undef, 'cheap', 10), $db->do('DELETE FROM loan WHERE who IS NULL'),
	$db->do('DELETE FROM book WHERE id = ?', undef, 2), 0 + $db->do('DELETE FROM book WHERE id = 2'));
show('tags', rows(q{SELECT id, tags FROM book WHERE 'cheap' = ANY(tags) ORDER BY id}));
show('moved', rows('INSERT INTO book (id, title) VALUES (1000, ?), (1001, ?) ON CONFLICT (id) DO UPDATE SET title = excluded.title RETURNING id, title, price', 'x', 'y'));
fails('unique', sub { $db->do('INSERT INTO book (id, title) VALUES (1000, ?)', undef, 'z') });
fails('check', sub { $db->do('UPDATE book SET price = -1 WHERE id = 7') });
fails('reference', sub { $db->do('UPDATE book SET genre = 9 WHERE id = 7') });
fails('child', sub { $db->do('INSERT INTO loan VALUES (500, 1)') });
fails('text', sub { $db->do('SELECT * FROM book WHERE id = ?', undef, 'seven') });
fails('division', sub { rows('SELECT id / (id - 7) FROM book') });
fails('time', sub { $db->begin_work; $db->do(q{SET LOCAL statement_timeout = '50ms'}); rows('SELECT pg_sleep(10) FROM book') });
$db->rollback;

$db->do('SELECT id, pg_sleep(0.05) FROM book WHERE id = 3', { pg_async => PG_ASYNC });
show('asynchronous', $db->pg_result);
$db->do('COPY (SELECT id, title FROM book WHERE id < 4 ORDER BY id) TO STDOUT (FORMAT csv, HEADER)');
my ($line, @lines) = ('');
push @lines, $line =~ s/\n//r while $db->pg_getcopydata($line) >= 0;
show('copied', @lines);
show('columns', map { [ @$_[ 3, 5, 6, 10, 12 ] ] } @{ $db->column_info(undef, 'public', 'book', '%')->fetchall_arrayref });
show('primary key', map { [ @$_[ 2, 3, 4, 5 ] ] } @{ $db->primary_key_info(undef, 'public', 'loan')->fetchall_arrayref });
show('foreign keys', map { [ @$_[ 2, 3, 6, 7, 11 ] ] } @{ $db->foreign_key_info(undef, undef, undef, undef, 'public', 'loan')->fetchall_arrayref });
show('tables', grep { /book|loan|genre/ } sort $db->tables(undef, 'public', '%', 'TABLE'));
my $statistics = $db->statistics_info(undef, 'public', 'book', 0, 0)->fetchall_arrayref;
show('statistics', map { [ @$_[ 2, 3, 5, 8 ] ] } grep { $_->[5] } @$statistics);
$db->do('DROP TABLE loan, book, genre');
$insert->finish;
$db->disconnect;
