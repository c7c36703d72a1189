package GenerateWrites;

# Makes statements that write, over tables of its own, out of a seed: the same
# seed, the same statements.  Each has one right outcome: a row that is joined is
# joined with one row at most (all tables have a unique "id"), what is returned
# depends on no order, and who violates what does not depend on who comes first.

use strict;
use warnings;

# a, b and p, which has partitions, are split alike by id, c by another column; r is on all nodes, l on one.
our @tables = (
	{ name => 'a', column => 'id' },
	{ name => 'b', column => 'id', with => 'a' },
	{ name => 'p', column => 'id', with => 'a' },
	{ name => 'c', column => 'k' },
	{ name => 'r' },
	{ name => 'l', local => 1 },);

our $schema = <<'SQL';
CREATE TABLE a (id int PRIMARY KEY, x int, s text DEFAULT 'def', n numeric CHECK (n > -1000), arr int[], g int GENERATED ALWAYS AS (x * 2) STORED);
CREATE TABLE b (id int PRIMARY KEY, gone point, x int, s text, n numeric, j jsonb);
ALTER TABLE b DROP COLUMN gone;
CREATE TABLE c (k int NOT NULL, id int NOT NULL, x int DEFAULT 7, s text, n numeric, PRIMARY KEY (k, id));
CREATE TABLE p (id int, x int, s text DEFAULT 'p', n numeric, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (MINVALUE) TO (15);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (15) TO (100);
CREATE TABLE p3 PARTITION OF p DEFAULT;
CREATE TABLE r (id int PRIMARY KEY, x int, s text, n numeric, d int NOT NULL DEFAULT 5);
CREATE TABLE l (id int PRIMARY KEY, x int, s text, n numeric);
SQL

our $data = <<'SQL';
INSERT INTO a SELECT i, i % 7, CASE WHEN i % 5 > 0 THEN 's' || i % 6 END, i / 4.0, ARRAY[i, i % 3] FROM generate_series(1, 30) i;
INSERT INTO b SELECT i, i % 5, 's' || i % 8, i / 2.0, jsonb_build_object('v', i % 4) FROM generate_series(5, 40) i;
INSERT INTO c SELECT i % 9, i, nullif(i % 6, 2), 's' || i % 4, i FROM generate_series(1, 35) i;
INSERT INTO p SELECT i, i % 6, 's' || i % 5, i FROM generate_series(1, 30) i;
INSERT INTO r (id, x, s, n) SELECT i, i % 4, 's' || i, i FROM generate_series(1, 12) i;
INSERT INTO l SELECT i, i % 3, 's' || i % 5, -i FROM generate_series(1, 15) i;
SQL

my %columns = (
	a => [qw(x s n)], b => [qw(x s n)], p => [qw(x s n)], c => [qw(x s n)], r => [qw(x s n)], l => [qw(x s n)]);
my %types = (id => 'int', k => 'int', x => 'int', s => 'text', n => 'num');
my @hash = qw(a a b p c c);

sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }

sub statements
{
	my ($seed, $count) = @_;

	srand($seed);
	return map { statement() } 1 .. $count;
}

sub statement
{
	my $roll = rand();

	return prepared(update()) if $roll < 0.28;
	return prepared(remove()) if $roll < 0.42;
	return insert_values() if $roll < 0.54;
	return prepared(insert_select()) if $roll < 0.70;
	return merge() if $roll < 0.82;
	return with_writes();
}

# Some statements that compare with a constant are prepared.
sub prepared
{
	my ($sql) = @_;

	return $sql unless chance(0.15) && $sql =~ s/= \d+\b(?![.\d])/= \$1/;
	my $mode = pick('force_generic_plan', 'force_custom_plan', 'auto');
	return "SET LOCAL plan_cache_mode = $mode; PREPARE q (int) AS $sql; EXECUTE q (@{[ int rand 9 ]}); EXECUTE q (@{[ int rand 9 ]}); DEALLOCATE q";
}

sub target { return chance(0.88) ? pick(@hash) : pick('r', 'l'); }

# An expression of a type over relations: alias => table.
sub expression
{
	my ($type, %from) = @_;
	my $alias = pick(sort keys %from);
	my %made = (
		int => [ "$alias.x", "$alias.id", int(rand 20), "$alias.x + 1", "coalesce($alias.x, 0) * 2", "length($alias.s)",
			"(SELECT count(*) FROM @{[ pick(qw(a b c r l)) ]} q WHERE q.x = $alias.x)::int", '(SELECT max(id) FROM ' . pick(qw(a b c r l)) . ')', 'NULL::int' ],
		text => [ "$alias.s", "upper($alias.s)", "$alias.s || '-' || $alias.id", "'t" . int(rand 9) . "'",
			"(SELECT max(s) FROM @{[ pick(qw(a b c r l)) ]} q WHERE q.id = $alias.id)", "NULL::text", "plain_f($alias.x)" ],
		num => [ "$alias.n", "$alias.n + 1", "$alias.n * $alias.x", '1.5', "(SELECT sum(n) FROM @{[ pick(qw(a b c r l)) ]} q WHERE q.x = $alias.x)" ]);

	return pick(@{ $made{$type} });
}

sub condition
{
	my (%from) = @_;
	my $alias = pick(sort keys %from);
	my $table = pick(qw(a b c r l));
	my @conditions = (
		"$alias.x = " . int(rand 7), "$alias.id = " . int(rand 40), "$alias.id < " . int(rand 40), "$alias.id IN (3, 8, 21, 33)",
		"$alias.s = 's" . int(rand 6) . "'", "$alias.n > " . int(rand 12), "$alias.x IS NULL",
		"$alias.id IN (SELECT id FROM $table)", "$alias.x IN (SELECT x FROM $table WHERE id < 9)",
		"EXISTS (SELECT FROM $table q WHERE q.id = $alias.id AND q.x > 1)", "NOT EXISTS (SELECT FROM $table q WHERE q.x = $alias.x AND q.n > 3)",
		"$alias.id = (SELECT min(id) FROM $table WHERE x = 2)", "$alias.id IN (SELECT id FROM $table ORDER BY n, id LIMIT 5)",
		"plain_f($alias.x) <> 'f3'", "$alias.n > (SELECT avg(n) FROM $table)");

	return pick(@conditions) . (chance(0.3) ? ' AND ' . condition(%from) : '');
}

# What else stands in FROM, and how it is joined: so that one row at most fits.
sub joined
{
	my ($alias) = @_;
	my $table = pick(qw(a b b c r l));

	return ([], {}) if chance(0.45);
	return ([ "(SELECT x AS id, count(*)::int AS x, min(s) AS s, sum(n) AS n FROM $table WHERE x IS NOT NULL GROUP BY 1) j" ],
		{ j => $table }, "j.id = $alias.@{[ pick('x', 'id') ]}")
	  if chance(0.25);
	return ([ "$table j LEFT JOIN @{[ pick(qw(a b c r l)) ]} j2 ON j2.id = j.id" ], { j => $table }, "j.id = $alias.id") if chance(0.2);
	return ([ "$table j" ], { j => $table }, "j.id = $alias.@{[ pick('id', 'id', 'x') ]}");
}

sub returning
{
	my ($table, %from) = @_;

	return '' if chance(0.4);
	my @shown = map { pick("t.id", "t.x + 1 AS y", "t.s", "t.*", 't', (map { ("$_.id AS other", "$_.s AS os") } grep { $_ ne 't' } sort keys %from),
			'(SELECT count(*) FROM l) AS nl', 'upper(t.s) AS up') } 1 .. 1 + int(rand 3);
	return ' RETURNING ' . join ', ', @shown;
}

sub update
{
	my $table = target();
	my ($from, $more, $on) = joined('t');
	my %from = (t => $table, %$more);
	my %set;

	# One server may check rows in an order in which a key is free, or not.
	my $moves = chance(0.15) && $table =~ /[abcp]/;
	$set{$_} = expression($types{$_}, %from) foreach map { pick(@{ $columns{$table} }) } 1 .. 1 + int(rand 2);
	$set{id} = 't.id + ' . (100 * (1 + int rand 3)) if $moves && $table ne 'c';
	$set{k} = pick('t.k + 50', 't.id', '3', 't.x') if $moves && $table eq 'c';
	my $sets = join ', ', map { "$_ = " . (chance(0.03) ? 'DEFAULT' : $set{$_}) } grep { chance(1) } sort keys %set;
	$sets =~ s/\b(id|k) = DEFAULT/$1 = t.$1/;
	$sets = "(x, s) = (SELECT q.x, q.s FROM r q WHERE q.id = t.id)" if chance(0.08) && !$moves;
	return "UPDATE $table t SET $sets" . (@$from ? " FROM @$from" : '') . where($on, %from) . returning($table, %from);
}

sub where
{
	my ($on, %from) = @_;
	my @all = ($on // (), chance(0.75) ? condition(%from) : ());

	return @all ? ' WHERE ' . join(' AND ', @all) : '';
}

sub remove
{
	my $table = target();
	my ($from, $more, $on) = joined('t');
	my %from = (t => $table, %$more);

	return "DELETE FROM $table t" . (@$from ? " USING @$from" : '') . where($on, %from) . returning($table, %from);
}

sub names { return $_[0] eq 'c' ? 'k, id, x, s, n' : 'id, x, s, n'; }

sub conflict
{
	my ($table) = @_;
	my $key = $table eq 'c' ? 'k, id' : 'id';

	return '' if chance(0.5);
	return ' ON CONFLICT DO NOTHING' if chance(0.3);
	return " ON CONFLICT ($key) DO NOTHING" if chance(0.3);
	return " ON CONFLICT ($key) DO UPDATE SET "
	  . pick('x = excluded.x + coalesce(t.x, 0)', "s = excluded.s || coalesce(t.s, '')", '(x, n) = (excluded.id, t.n)', 'n = DEFAULT', 's = plain_f(3)', 'x = (SELECT count(*) FROM r)',
		$table eq 'c' ? 'k = excluded.k, n = 3' : 'id = excluded.id, n = 3')
	  . (chance(0.3) ? pick(' WHERE t.x > 2', " WHERE excluded.s <> 's3'", ' WHERE t.n IS NOT NULL') : '');
}

sub insert_values
{
	my $table = target();
	my $id = 30 + int(rand 20);
	my @rows;

	foreach (1 .. pick(1, 1, 2, 5, 12))
	{
		my @row = ($id++, pick(int(rand 9), 'NULL', '3 + 4', '(SELECT max(x) FROM r)', '(SELECT count(*)::int FROM a)'),
			pick("'v'", 'NULL', "upper('x')", 'plain_f(2)', 'current_user'), pick('1.5', '-2', 'NULL', '1e3'));
		unshift @row, int(rand 9) if $table eq 'c';
		push @rows, '(' . join(', ', map { chance(0.04) && $_ !~ /^\d+$/ ? 'DEFAULT' : $_ } @row) . ')';
	}
	return "INSERT INTO $table AS t (@{[ names($table) ]}) VALUES " . join(', ', @rows) . conflict($table) . returning($table, t => $table);
}

sub insert_select
{
	my $table = target();
	my $source = pick(qw(a b b c r l));
	my $shift = pick(0, 0, 100, 1);
	my $id = $shift ? "q.id + $shift" : 'q.id';
	my %from = (q => $source);
	my $select = 'SELECT '
	  . join(', ', ($table eq 'c' ? pick('q.id', 'coalesce(q.x, 3)', '4') : ()), $id, expression('int', %from), expression('text', %from), expression('num', %from))
	  . " FROM $source q" . where(undef, %from);
	$select .= ' ORDER BY q.id LIMIT ' . int(rand 9) if chance(0.2);
	$select = 'SELECT ' . ($table eq 'c' ? 'x, ' : '') . "x + 200, count(*)::int, min(s), sum(n) FROM $source WHERE x IS NOT NULL GROUP BY x" if chance(0.15);
	$select = "SELECT " . ($table eq 'c' ? '5, ' : '') . "$id, j.x, q.s, j.n FROM $source q JOIN @{[ pick(qw(a b c r l)) ]} j ON j.id = q.id" if chance(0.2);
	my $override = conflict($table);
	return "INSERT INTO $table AS t (@{[ names($table) ]}) $select$override" . returning($table, t => $table);
}

sub merge
{
	my $table = pick(@hash, 'r');
	my $source = pick(
		(map { "$_ q" } qw(a b c r l)), '(SELECT x AS id, count(*)::int AS x, min(s) AS s, sum(n) AS n FROM b GROUP BY 1) q',
		"(VALUES (3, 4, 'five', 6.5), (77, 1, NULL, 2), (8, 0, 'x', 1)) q (id, x, s, n)", '(SELECT b.id, c.x, b.s, c.n FROM b JOIN c ON c.id = b.id) q');
	my @actions;

	foreach (1 .. 1 + int(rand 3))
	{
		my $matched = chance(0.6);
		my $when = 'WHEN ' . ($matched ? 'MATCHED' : 'NOT MATCHED') . (chance(0.6) ? ' AND ' . pick('q.x > 1', "q.s <> 's2'", 'q.id % 3 = 0', $matched ? 't.x < 4' : 'q.n > 5', 'q.x IN (SELECT x FROM r)') : '') . ' THEN ';
		my @does = $matched
		  ? ('DELETE', 'DO NOTHING', 'UPDATE SET x = q.x + 1', "UPDATE SET s = q.s || coalesce(t.s, '+'), n = q.n", 'UPDATE SET x = DEFAULT',
			'UPDATE SET (x, s) = (SELECT max(p.x) + q.x, max(p.s) FROM p WHERE p.id = q.id)', $table eq 'c' ? 'UPDATE SET k = t.k + 20' : 'UPDATE SET id = t.id + 500')
		  : ('DO NOTHING', map { "INSERT (@{[ names($table) ]}) VALUES (" . ($table eq 'c' ? 'coalesce(q.id, 0) % 5, ' : '') . $_ } 'q.id + 300, q.x, q.s, q.n)', "q.id + 300, q.id, 'merged', DEFAULT)");
		push @actions, $when . pick(@does);
	}

	# A later action after one without a condition is an error of its own.
	my %open;
	@actions = grep { my ($kind) = /^WHEN ((?:NOT )?MATCHED)/; my $first = !$open{$kind}; $open{$kind} = 1 unless /^WHEN (?:NOT )?MATCHED AND/; $first } @actions;
	return "MERGE INTO $table t USING $source ON " . pick('t.id = q.id', 't.id = q.id', 't.id = q.id AND q.x < 4') . ' ' . join ' ', @actions;
}

sub with_writes
{
	my ($one, $two) = (pick(@hash), pick(qw(a b c r l)));
	my $source = pick("DELETE FROM $one t WHERE " . condition(t => $one) . ' RETURNING t.id, t.x, t.s, t.n',
		"UPDATE $one t SET x = t.x + 1, s = 'w' WHERE " . condition(t => $one) . ' RETURNING t.id, t.x, t.s, t.n',
		"INSERT INTO $one AS t (@{[ names($one) ]}) SELECT " . ($one eq 'c' ? '1, ' : '') . "id + 600, x, s, n FROM $two RETURNING id, x, s, n");
	my $other = pick(grep { $_ ne $one } qw(a b c r l));
	my @ends = (
		'SELECT count(*), sum(x), sum(n) FROM w', "SELECT count(*), sum(q.n) FROM w JOIN $one q ON q.id = w.id", "SELECT (SELECT count(*) FROM w), count(*) FROM $one",
		"SELECT w.id, q.s FROM w LEFT JOIN $two q ON q.id = w.id",
		"INSERT INTO $other (@{[ names($other) ]}) SELECT " . ($other eq 'c' ? 'w.id, ' : '') . 'w.id + 900, w.x, w.s, w.n FROM w RETURNING id',
		"UPDATE $other t SET x = w.x FROM w WHERE w.id = t.id RETURNING t.id, t.x",
		"DELETE FROM $other t WHERE t.id IN (SELECT id FROM w)", "MERGE INTO $other t USING w ON w.id = t.id WHEN MATCHED THEN UPDATE SET n = w.n");
	my $end = pick(@ends);

	# MERGE may not stand behind WITH that changes rows, nor write what is no table of ours.
	$end = $ends[0] if $end =~ /^MERGE/ || ($end =~ /^UPDATE r|^DELETE FROM r/);
	return "WITH w AS ($source) $end";
}

1;
