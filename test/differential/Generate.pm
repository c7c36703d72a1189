package Generate;

# Makes queries over the tables of tables.sql out of a seed: the same seed, the
# same queries.  Each has one right answer: what LIMIT cuts off is decided by
# all columns, windows and aggregates do not depend on the order of equal rows,
# and nothing divides or casts so that it could fail for some rows only.
#
# A query is made as a tree of Shrink.pm: parts that can go are marked.

use strict;
use warnings;

use Shrink;

# Columns by type; the first column is what joins and conditions like best.
my @same = qw(k:int v:int s:text n:num d:date b:bool a:arr);
my %tables = (
	(map { ($_ => [@same]) } qw(r1 r2 r3 r5 r6 r7)),
	r4 => [qw(s:text k:int v:int n:num d:date b:bool a:arr)],
	users => [qw(user_id:int name:text country:text born:date active:bool)],
	orders => [qw(user_id:int order_id:int status:text total:num note:text)],
	order_items => [qw(user_id:int order_id:int line:int product_id:int quantity:int price:num)],
	products => [qw(product_id:int name:text category:text price:num)],
	countries => [qw(code:text name:text)],
	regions => [qw(country:text region:text)],
	measurements => [qw(sensor:int day:date value:num)],
	kv => [qw(key:text value:text n:int)],
	gaps => [qw(id:int a:int b:text c:bool d:num)],
	nothing => [qw(id:int v:text)],
	order_totals => [qw(user_id:int orders:int spent:num)],
	words => [qw(id:int w:text)],
	adults => [qw(user_id:int name:text country:text)],);
my @small = (qw(r1 r2 r3 r4 r5 r6) x 3, 'r7');
my @names = (@small, @small, 'words', sort keys %tables);

# Constants by type, some of which occur.
my %constants = (
	int => [qw(0 1 2 3 5 8 13 17)],
	text => [ map { "'$_'" } 's1', 's3', 's5', 'DE', 'paid', 'k7', 'books', '' ],
	num => [qw(0 0.5 1.5 2.25 10 250.25)],
	date => [ map { "date '$_'" } '1980-06-15', '2024-02-28', '2024-03-01' ],
	bool => [qw(true false)],
	arr => [ map { "'$_'::int[]" } '{1}', '{1,2}', '{}', '{3,NULL}' ],);

# Expressions by type; {type} stands for one of that type.
my %expressions = (
	int => [
		'{int} + {int}', '{int} % 7', 'length({text})', 'coalesce({int}, 0)', '(- {int})', 'CASE WHEN {bool} THEN {int} ELSE {int} END',
		'CASE {int} WHEN {int} THEN {int} END', 'nullif({int}, {int})', 'cardinality({arr})', '({arr})[1]', 'least({int}, {int})', 'extract(day FROM {date})::int',
		'ascii({text})', '{date} - {date}', "(jsonb_build_object('a', {int}) ->> 'a')::int", '({row}).k', 'num_nulls({int}, {text}, {row})' ],
	text => [
		'upper({text})', 'left({text}, 3)', "coalesce({text}, 'none')", "{text} || '-' || {int}", 'nullif({text}, {text})',
		'CASE WHEN {bool} THEN {text} END', 'concat({text}, {int})', "to_char({date}, 'YYYY-MM')", 'greatest({text}, {text})',
		'md5({text})', 'to_jsonb({row})::text', 'to_jsonb({arr})::text', "format('%s/%s', {text}, {int})", 'substring({text} FROM 2)' ],
	num => [ '{num} * 2', '{num} + {int}', 'round({num})', 'greatest({num}, {num})', 'abs({num} - {num})', 'CASE WHEN {bool} THEN {num} ELSE 0 END' ],
	date => [ '{date} + 30', 'least({date}, {date})', "date_trunc('year', {date})::date", 'coalesce({date}, {date})' ],
	arr => [ '{arr} || {int}', 'ARRAY[{int}, {int}]', 'array_remove({arr}, {int})' ],
	bool => [
		'{int} = {int}', '{int} < {int}', '{text} = {text}', '{text} > {text}', '{num} >= {num}', '{date} < {date}', '{date} = {date}',
		'NOT {bool}', '({bool} AND {bool})', '({bool} OR {bool})', '{int} IS NULL', '{text} IS NOT NULL',
		'{int} IS DISTINCT FROM {int}', '{int} BETWEEN {int} AND {int}', '{int} IN (1, 2, {int})', '{int} NOT IN (3, {int})',
		"{text} LIKE '%1%'", '({bool}) IS NOT TRUE', '({bool}) IS UNKNOWN', '{int} = ANY ({arr})', '{int} <> ALL ({arr})', '{arr} && {arr}',
		'({int}, {text}) = ({int}, {text})', '({int}, {date}) < ({int}, {date})', 'ROW ({int}, {text}) IS NULL', "{text} IN ('s1', {text})",
		'{row} IS NOT NULL', '{row} IS NULL', "{text} ~ '^s[1-4]'", 'int4range(0, 5) @> {int}', "{text} SIMILAR TO 's(1|2|5)%'",
		'({int}, {text}) IS DISTINCT FROM ({int}, {text})', '{text} COLLATE "C" < {text}', '{int} = ANY (ARRAY[1, {int}, NULL])' ],);

my @aggregates = (
	[ 'int', 'count(*)' ], [ 'int', 'count({text})' ], [ 'int', 'count(DISTINCT {int})' ], [ 'int', 'sum({int})::bigint' ],
	[ 'num', 'sum({num})' ], [ 'num', 'avg({num})' ], [ 'int', 'min({int})' ], [ 'text', 'max({text})' ], [ 'date', 'max({date})' ],
	[ 'bool', 'bool_or({bool})' ], [ 'bool', 'every({bool})' ], [ 'text', "string_agg({=text}, ',' ORDER BY {=text})" ],
	[ 'text', "string_agg(DISTINCT {=text}, ',' ORDER BY {=text})" ], [ 'arr', 'array_agg({=int} ORDER BY {=int} DESC NULLS LAST)' ],
	[ 'arr', 'array_agg(DISTINCT {int}) FILTER (WHERE {bool})' ], [ 'text', 'jsonb_agg({=int} ORDER BY {=int})::text' ],
	[ 'int', 'count(*) FILTER (WHERE {bool})' ], [ 'int', 'count(DISTINCT {text})' ], [ 'num', 'sum(DISTINCT {int})' ],
	[ 'int', 'count(DISTINCT ({int}, {date}))' ], [ 'num', 'avg(DISTINCT {num}) FILTER (WHERE {bool})' ],
	[ 'num', 'round(stddev({int}), 8)' ], [ 'num', 'round(var_pop({num}), 8)' ], [ 'num', 'sum({num}) FILTER (WHERE {bool})' ],
	[ 'num', 'round(avg({int}), 8)' ], [ 'int', 'bit_xor({int})' ], [ 'num', 'percentile_disc(0.5) WITHIN GROUP (ORDER BY {num})' ],
	[ 'text', 'mode() WITHIN GROUP (ORDER BY {text})' ], [ 'int', 'rank(3) WITHIN GROUP (ORDER BY {int})' ], [ 'date', 'min({date})' ],
	[ 'int', 'coalesce(sum({int}), 0)::bigint + count(*)' ], [ 'int', 'count({row})' ], [ 'int', 'count(DISTINCT {date})' ],
	[ 'num', 'round(covar_samp({int}, {num})::numeric, 6)' ], [ 'int', 'regr_count({int}, {num})' ], [ 'text', 'range_agg(int4range(abs({=int}), abs({=int}) + 2))::text' ],);
my @windows = (
	[ 'int', 'count(*) OVER (PARTITION BY {text})' ], [ 'num', 'sum({num}) OVER (PARTITION BY {int})' ],
	[ 'int', 'rank() OVER (ORDER BY {int})' ], [ 'int', 'dense_rank() OVER (PARTITION BY {text} ORDER BY {num})' ],
	[ 'num', 'max({num}) OVER (ORDER BY {int})' ], [ 'int', 'sum({int}) OVER (PARTITION BY {int} ORDER BY {date} NULLS FIRST)::bigint' ],
	[ 'int', 'count(*) OVER (ORDER BY {int} RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING)' ],
	[ 'num', 'sum({num}) OVER (PARTITION BY {int} ORDER BY {int} GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES)' ],
	[ 'int', 'count({int}) FILTER (WHERE {bool}) OVER (PARTITION BY {text} ORDER BY {int} GROUPS CURRENT ROW EXCLUDE GROUP)' ],
	[ 'int', 'first_value({=int}) OVER (PARTITION BY {int} ORDER BY {=int})' ],
	[ 'text', 'last_value({=text}) OVER (PARTITION BY {int} ORDER BY {=text} RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)' ],);

my $next_alias;
my $room;    # how many more relations the query may have
my @ctes;    # that can be named

sub queries
{
	my ($seed, $count) = @_;
	my @queries;

	srand($seed);
	foreach my $i (1 .. $count)
	{
		$next_alias = 0;
		$room = 7;
		@ctes = ();
		my $tree = prepared_or_not(statement());
		push @queries, { title => "seed $seed, query $i", tree => $tree, sql => finish($tree) };
	}
	return @queries;
}

sub finish { return Shrink::text($_[0]); }
sub part { return Shrink::part(@_); }
sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }
sub names_of { return join ', ', map { s/:.*//r } @_; }

# Some statements that compare with a constant are prepared with a parameter;
# some are read through a cursor.
sub prepared_or_not
{
	my ($sql) = @_;

	if (chance(0.15) && $sql =~ s/= \d+\b(?![.\d])/= \$1/)
	{
		my $mode = pick('force_generic_plan', 'force_generic_plan', 'force_custom_plan');
		$sql =~ s/= \d+\b(?![.\d])/= \$2/;
		$sql =~ s/([<>]|IN \(|[+]) \d+\b(?![.\d])/$1 \$2/ if chance(0.5);
		$sql =~ s/LIMIT \d+/LIMIT \$3/ if chance(0.5);
		return "SET plan_cache_mode = $mode;\nPREPARE q (int, int, int) AS $sql;\n"
		  . join '', map { "EXECUTE q ($_);\n" } '8, 1, 5', '5, 5, 0', 'NULL, 2, 3', '3, NULL, NULL';
	}
	return "BEGIN;\nDECLARE c CURSOR FOR $sql;\nFETCH ALL FROM c;\nCOMMIT;\n" if chance(0.03);
	return "$sql;\n";
}

# A whole statement: SELECTs, with CTEs or without.
sub statement
{
	my @types = map { pick(qw(int int text num bool date arr)) } 1 .. 1 + int(rand(4));
	my @with;

	if (chance(0.2))
	{
		foreach my $number (1 .. pick(1, 1, 2))
		{
			my @columns = map { pick(qw(int int text num)) } 1 .. 2 + int(rand(2));
			my $body = chance(0.2) ? set_operation(1, @columns) : select_of([], 1, @columns) . tail([], @columns);
			my $how = part(pick('', 'MATERIALIZED ', 'NOT MATERIALIZED '));
			@columns = map { "x$_:$columns[$_ - 1]" } 1 .. @columns;
			push @with, "c$number (" . names_of(@columns) . ") AS $how($body)";
			push @ctes, { name => "c$number", columns => \@columns };
		}
		if (chance(0.2))
		{
			my $start = select_of([], 0, 'int', 'int');
			unshift @with, "w (x1, x2) AS (($start) UNION SELECT w.x1 + 1, t.v FROM w JOIN " . pick(@small) . ' t ON '
			  . pick('t.k = w.x1', 't.v = w.x2', 't.k = w.x2') . ' WHERE w.x1 < 20)';
			push @ctes, { name => 'w', columns => [ 'x1:int', 'x2:int' ] };
			return 'WITH RECURSIVE ' . join(', ', @with) . ' ' . body(@types);
		}
		return 'WITH ' . join(', ', @with) . ' ' . body(@types);
	}
	return body(@types);
}

sub body
{
	my @types = @_;

	return set_operation(1, @types) . tail([], @types) if chance(0.15);
	return distinct_on(@types) if chance(0.04);
	my $select = select_of([], 2, @types);
	my $tail = tail([], @types);
	return in_order($select, $tail, @types) if chance(0.06);
	return "SELECT count(*), " . pick('count(DISTINCT x.*)', 'count(x)', '1') . " FROM ($select$tail) x" if chance(0.05);
	return $select . $tail . part(pick(' FOR UPDATE', ' FOR SHARE', ' FOR UPDATE OF t1', ' FOR KEY SHARE')) if chance(0.04) && $select !~ /^SELECT \x01?DISTINCT/;
	return $select . $tail;
}

# The order of the rows is part of the result: sorted by all columns, or by one, which is shown.
sub in_order
{
	my ($select, $tail, @types) = @_;
	my @columns = chance(0.6) ? (1 .. @types) : (1 + int(rand(@types)));
	my $shown = @columns > 1 || @types == 1 ? 'x' : "x.z$columns[0]";
	my $names = join ', ', map { "z$_" } 1 .. @types;
	my $order = join ', ', map {
		my $by = $types[ $_ - 1 ] eq 'text' && chance(0.5) ? 'x.z' . $_ . ' COLLATE ' . pick('"C"', '"en-x-icu"', '"POSIX"', '"de-x-icu"', '"default"') : "x.z$_";
		$by . pick('', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST', ' USING >', ' USING < NULLS FIRST')
	} @columns;

	# What one collation takes for equal is told apart by another.
	$order .= ', ' . join ', ', map { qq(x.z$_ COLLATE "C") } grep { $types[ $_ - 1 ] eq 'text' } @columns if grep { $types[ $_ - 1 ] eq 'text' } @columns;
	my $limit = @columns == @types ? part(pick('', '', ' OFFSET 2', ' LIMIT 7')) : '';
	return "SELECT string_agg($shown\::text, ' ') FROM (SELECT * FROM ($select) x ($names) ORDER BY $order$limit) x";
}

sub set_operation
{
	my ($depth, @types) = @_;
	my $operation = pick('UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT ALL');
	my $left = chance(0.2) && $depth > 0 ? '(' . set_operation($depth - 1, @types) . ')' : select_of([], 1, @types);
	my $right = chance(0.2) ? '(' . select_of([], 1, @types) . tail([], @types) . ')' : select_of([], 1, @types);

	return part("$left $operation $right", $left);
}

# ORDER BY everything, so that a LIMIT has one answer.
sub tail
{
	my ($outer, @types) = @_;

	return '' if chance(0.5);
	my $order = ' ORDER BY ' . join ', ',
	  map { $_ . pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST') } 1 .. @types;
	return part(" ORDER BY 1" . pick('', ' DESC') . pick('', ' OFFSET 1') . ' FETCH FIRST ' . (1 + int(rand(6))) . ' ROWS WITH TIES') if @types == 1 && chance(0.3);
	my $limit = !chance(0.6) ? '' : part(' LIMIT ' . pick(int(rand(20)), int(rand(20)), '(SELECT count(*) FROM r6)', 'NULL'));
	my $offset = !chance(0.2) ? '' : part(' OFFSET ' . pick(int(rand(10)), "(SELECT min(k) FROM r5)"));
	return part($order . $limit . $offset);
}

sub distinct_on
{
	my @types = @_;

	return select_of([], 1, @types) unless @types > 1;
	my ($from, $where, $scope) = clauses([], 1);
	my @list = map { expression($_, $scope, 2) } @types;
	return 'SELECT DISTINCT ON (1) ' . join(', ', @list) . " FROM $from$where ORDER BY " . join(', ', map { $_ . pick('', ' DESC', ' NULLS FIRST') } 1 .. @types)
	  . (chance(0.3) ? part(' LIMIT ' . int(rand(10))) : '');
}

sub clauses
{
	my ($outer, $depth) = @_;
	my ($from, @relations) = from_clause($outer, $depth);
	my $scope = [@relations];
	my $where = chance(0.55) ? part(' WHERE ' . join ' AND ', condition([ @$scope, @$outer ], $depth), map { part(condition([ @$scope, @$outer ], $depth), 'true') } chance(0.3) ? 1 : ()) : '';

	return ($from, $where, $scope);
}

# A SELECT with columns of these types.  Depth limits how far it nests; outer are
# the relations of the query around it.
sub select_of
{
	my ($outer, $depth, @types) = @_;
	my ($from, $where, $scope) = clauses($outer, $depth);

	return aggregate_of($from, $where, $scope, $depth, @types) if chance(0.3);
	my $distinct = chance(0.12) ? part('DISTINCT ') : '';
	my @list = map { select_item($_, $scope, $outer, $depth) } @types;
	return "SELECT $distinct" . join(', ', @list) . " FROM $from$where";
}

sub select_item
{
	my ($type, $scope, $outer, $depth) = @_;
	my @fit = grep { $_->[0] eq $type } @windows;

	return part(fill(pick(@fit)->[1], $scope, 0), expression($type, $scope, 1)) if @fit && chance(0.1);
	return scalar_subquery($type, $scope) if $depth > 0 && chance(0.07);
	return part(expression($type, [ @$scope, @$outer ], 2), column($type, $scope) // $constants{$type}[1]) if @$outer;
	return expression($type, $scope, 2);
}

# A subquery that gives one value: an aggregate, or the first of all.
sub scalar_subquery
{
	my ($type, $scope) = @_;
	my @fit = grep { $_->[0] eq $type } @aggregates;
	my $simple = $constants{$type}[1];

	return expression($type, $scope, 2) if $room-- <= 0;
	my ($more, $inner) = relation($scope, 0);
	my $where = ' WHERE ' . join_condition($scope, $inner) . (chance(0.4) ? part(' AND ' . expression('bool', [ $inner, @$scope ], 2)) : '');
	return part('(SELECT ' . fill(pick(@fit)->[1], [$inner], 1) . " FROM $more" . part($where) . ')', $simple) if @fit && chance(0.7);
	return part('(SELECT ' . expression($type, [ $inner, $inner, @$scope ], 1) . " FROM $more" . part($where) . ' ORDER BY 1 LIMIT 1)', $simple);
}

# Group columns and aggregates; a type that no aggregate has is grouped by.
sub aggregate_of
{
	my ($from, $where, $scope, $depth, @types) = @_;
	my (@list, @groups);

	foreach my $type (@types)
	{
		my @fit = grep { $_->[0] eq $type } @aggregates;
		if (@fit && chance(0.6))
		{
			push @list, part(fill(pick(@fit)->[1], $scope, 1), $constants{$type}[1]);
		}
		else
		{
			push @list, chance(0.2) ? expression($type, $scope, 1) : column($type, $scope) // pick(@{ $constants{$type} });
			push @groups, scalar @list;
		}
	}
	my $positions = join ', ', @groups;

	# Not over constants, which the server takes for what they are even where they are not grouped by.
	my $by = !@groups ? '' : part(' GROUP BY '
		  . (!chance(0.15) || (grep { finish($list[ $_ - 1 ]) !~ /^t\d+\.\w+$/ } @groups) ? $positions
			: part(pick("ROLLUP ($positions)", "CUBE ($positions)", "GROUPING SETS (($positions), (), ($groups[0]))", "GROUPING SETS (($groups[-1]), ($groups[0]))"), $positions)), " GROUP BY $positions");
	my $having = !chance(0.3) ? '' : part(' HAVING ' . pick('count(*) > ' . int(rand(4)), fill('max({int}) > {#int}', $scope, 1), fill('bool_or({bool})', $scope, 1), fill('sum({num}) IS NOT NULL', $scope, 1)));
	return 'SELECT ' . join(', ', @list) . " FROM $from$where$by$having";
}

# Tables, joined or not: the text, and what can be named.
sub from_clause
{
	my ($outer, $depth) = @_;
	my ($text, @relations) = relation($outer, $depth);

	foreach (1 .. pick(0, 0, 1, 1, 2, 2, 3, 4))
	{
		last if $room-- <= 0;
		if ($depth > 0 && chance(0.08))
		{
			my @types = map { pick(qw(int int text num)) } 1 .. 2;
			my $alias = 't' . ++$next_alias;
			my $body = select_of([@relations], 0, @types) . tail([], @types);
			$text .= part(chance(0.5) ? " CROSS JOIN LATERAL ($body) $alias (y1, y2)" : " LEFT JOIN LATERAL ($body) $alias (y1, y2) ON true");
			push @relations, { alias => $alias, columns => [ "y1:$types[0]", "y2:$types[1]" ] };
			next;
		}
		if (chance(0.05))
		{
			my $alias = 't' . ++$next_alias;
			my ($function, $column) = @{ pick([ 'unnest({arr})', 'k:int' ], [ 'generate_series(1, least({int}, 4))', 'k:int' ], [ "string_to_table({text}, 's')", 's:text' ]) };
			$text .= part(pick(' CROSS JOIN ', ' LEFT JOIN ') . fill($function, [@relations], 0) . " $alias (" . names_of($column) . ')');
			$text =~ s/(LEFT JOIN (?:(?!LEFT JOIN).)*)(\x02\x03)$/$1 ON true$2/s;
			push @relations, { alias => $alias, columns => [$column] };
			next;
		}
		my ($more, $relation) = relation($outer, $depth);
		if (chance(0.12))
		{
			# Two joined with each other first.
			my ($other, $second) = relation($outer, $depth);
			my $inner = part(pick('LEFT ', 'FULL ', 'RIGHT '));
			my $on = join_condition([@relations], $relation);
			my $on_inner = join_condition([$relation], $second);
			my $kind = part(pick('LEFT ', 'RIGHT ', 'FULL '));
			$text = part("$text ${kind}JOIN ($more ${inner}JOIN $other ON $on_inner) ON $on", $text);
			push @relations, $relation, $second;
			next;
		}
		my $on = join_condition([@relations], $relation);
		my $kind = pick('', 'LEFT ', 'LEFT ', 'RIGHT ', 'FULL ');
		$on .= part(' AND ' . expression('bool', [ @relations, $relation ], 1)) if $kind ne 'FULL ' && chance(0.2);
		$kind = part($kind) if $kind;
		$text = part("$text ${kind}JOIN $more ON $on", $text);
		push @relations, $relation;
	}
	return ($text, @relations);
}

sub relation
{
	my ($outer, $depth) = @_;
	my $alias = 't' . ++$next_alias;

	if (@ctes && chance(0.5))
	{
		my $cte = pick(@ctes);
		return ("$cte->{name} $alias", { alias => $alias, columns => $cte->{columns} });
	}
	return grouped_by_key($alias) if $depth > 0 && chance(0.08);
	return table_made_up($alias) if chance(0.06);
	if ($depth > 0 && chance(0.15) && $room > 1)
	{
		my @types = map { pick(qw(int int text num date)) } 1 .. 2 + int(rand(2));
		my @columns = map { "y$_:$types[$_ - 1]" } 1 .. @types;
		my $body = chance(0.15) ? set_operation(0, @types) : select_of([], $depth - 1, @types);
		return ("($body" . tail([], @types) . ") AS $alias (" . names_of(@columns) . ')', { alias => $alias, columns => \@columns });
	}
	my $name = $room > 4 ? pick(@names) : pick(@small);
	my @columns = @{ $tables{$name} };

	# Whatever is named first is joined on most.
	@columns = @columns[ 1, 0, 2 .. $#columns ] if chance(0.3) && @columns > 1;
	return (part("$name", 'r1') . " $alias", { alias => $alias, columns => \@columns });
}

# Relations that are no tables.
sub table_made_up
{
	my ($alias) = @_;

	return (
		["(VALUES (1, 's1'), (2, NULL), (5, 's5'), (NULL, 's3')) AS $alias (k, s)", { alias => $alias, columns => [qw(k:int s:text)] }],
		["generate_series(1, 9, 2) AS $alias (k)", { alias => $alias, columns => ['k:int'] }],
		["unnest(ARRAY[1, 3, NULL, 8], ARRAY['s1', 's2']) WITH ORDINALITY AS $alias (k, s, v)", { alias => $alias, columns => [qw(k:int s:text v:int)] }],
	)[ int(rand(3)) ]->@*;
}

# Something that is one row, or one after the other, for each key of a table; its
# key keeps its name, so that it is mostly joined on it.
sub grouped_by_key
{
	my ($alias) = @_;
	my $name = pick(@small);
	my ($key, $type) = split /:/, $tables{$name}[0];
	my $scope = [ { columns => $tables{$name}, alias => 'g' } ];
	my $value = fill(pick('count(*)', 'sum({num})::numeric', 'count(DISTINCT {text})', 'max({int})'), $scope, 1);
	my $window = fill(pick('count(*)', 'max({int})'), $scope, 1);
	my $where = chance(0.3) ? part(' WHERE ' . expression('bool', $scope, 1)) : '';
	my $text = pick(
		"SELECT g.$key, $value FROM $name g$where GROUP BY g.$key",
		"SELECT DISTINCT g.$key, $window OVER (PARTITION BY g.$key) FROM $name g$where",
		"SELECT g.$key, 1 FROM $name g$where UNION SELECT g.$key, 2 FROM $name g");

	return ("($text) AS $alias ($key, v)", { alias => $alias, columns => [ "$key:$type", 'v:num' ] });
}

# An equality of two columns of one type: usually the first ones, or of one name.
sub join_condition
{
	my ($left, $right) = @_;
	my @pairs;

	foreach my $relation (@$left)
	{
		foreach my $l (@{ $relation->{columns} })
		{
			foreach my $r (@{ $right->{columns} })
			{
				my ($lname, $ltype) = split /:/, $l;
				my ($rname, $rtype) = split /:/, $r;
				next unless $ltype eq $rtype && $ltype =~ /int|text|date/;
				my $likely = $lname eq $rname ? 4 : 1;
				$likely += 6 if $l eq $relation->{columns}[0] && $r eq $right->{columns}[0];
				push @pairs, ("$relation->{alias}.$lname = $right->{alias}.$rname") x $likely;
			}
		}
	}
	return @pairs ? pick(@pairs) : 'true' if !@pairs || chance(0.85);
	return pick(@pairs) . part(' AND ' . pick(@pairs));
}

# A condition, now and then one that pins the key or holds a subquery.
sub condition
{
	my ($scope, $depth) = @_;
	my $relation = pick(@$scope);
	my ($key, $type) = split /:/, $relation->{columns}[0];

	return "$relation->{alias}.$key = " . pick(@{ $constants{$type} }) . (chance(0.3) ? part(' AND ' . expression('bool', $scope, 1)) : '')
	  if chance(0.12);
	return "$relation->{alias}.$key IN (" . join(', ', map { pick(@{ $constants{$type} }) } 1 .. 3) . ')' if chance(0.08);
	return subquery_condition($relation, $key, $type, $scope, $depth) if $depth > 0 && $room-- > 0 && chance(0.3);
	return part('(' . expression('bool', $scope, 1) . ' OR ' . expression('bool', $scope, 1) . ')', 'true') if chance(0.4);
	return part(expression('bool', $scope, 2), 'true');
}

sub subquery_condition
{
	my ($relation, $key, $type, $scope, $depth) = @_;
	my $not = part(pick('', 'NOT '));
	my $form = int(rand(10));

	if ($form < 4)
	{
		my ($more, $inner) = relation($scope, 0);
		return "${not}EXISTS (SELECT FROM $more WHERE " . join_condition([$relation], $inner)
		  . (chance(0.5) ? part(' AND ' . expression('bool', [ $inner, @$scope ], 1)) : '') . ')';
	}
	return "$relation->{alias}.$key ${not}IN (" . select_of(chance(0.4) ? $scope : [], $depth - 1, $type) . ')' if $form < 7;
	return "$relation->{alias}.$key " . pick('=', '<', '>', '<>') . ' ' . scalar_subquery($type, $scope) if $form == 7;
	return "($relation->{alias}.$key, 1) ${not}IN (" . select_of([], $depth - 1, $type, 'int') . ')' if $form == 8;
	return "$relation->{alias}.$key " . pick('<= ALL', '= ANY', '> ANY', '<> ALL') . ' (' . select_of([], $depth - 1, $type) . ')';
}

sub expression
{
	my ($type, $scope, $depth) = @_;
	my $simple = column($type, $scope);
	my $constant = pick(@{ $constants{$type} });

	$simple = part($simple, $constant) if defined $simple;
	return part(fill(pick(@{ $expressions{$type} }), $scope, $depth - 1), $simple // $constant)
	  if $depth > 0 && chance($type eq 'bool' ? 0.9 : 0.35);
	return $simple // $constant if chance(0.85);
	return $constant;
}

# {type}: an expression; {=type}: one expression, wherever it stands; {#type}: a constant.
sub fill
{
	my ($template, $scope, $depth) = @_;
	my %same;

	$template =~ s/\{#(\w+)\}/pick(@{ $constants{$1} })/ge;
	foreach my $type ($template =~ /\{=(\w+)\}/g)
	{
		$same{$type} //= finish(expression($type, $scope, $depth));
		$template =~ s/\{=$type\}/$same{$type}/;
	}
	$template =~ s/\{row\}/pick(@$scope)->{alias}/ge;
	$template =~ s/\((\w+)\)\.k\b/has_key($1, $scope) ? "($1).k" : '3'/ge;
	return $template =~ s/\{([a-z]+)\}/expression($1, $scope, $depth)/ger;
}

# Has the relation a column k that is a number, as one of several?
sub has_key
{
	my ($alias, $scope) = @_;

	return grep { $_->{alias} eq $alias && @{ $_->{columns} } > 1 && grep { $_ eq 'k:int' } @{ $_->{columns} } } @$scope;
}

sub column
{
	my ($type, $scope) = @_;
	my @fit;

	foreach my $relation (@$scope)
	{
		push @fit, map { "$relation->{alias}." . s/:.*//r } grep { /:$type$/ } @{ $relation->{columns} };
	}
	return @fit ? pick(@fit) : undef;
}

1;
