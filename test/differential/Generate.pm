package Generate;

# Makes queries over the tables of tables.sql out of a seed: the same seed, the
# same queries.  Each has one right answer: what LIMIT cuts off is decided by
# all columns, windows and aggregates do not depend on the order of equal rows,
# and nothing divides or casts so that it could fail for some rows only.

use strict;
use warnings;

# Columns by type; the first column is the distribution column.
my %tables = (
	users => [qw(user_id:int name:text country:text born:date active:bool)],
	orders => [qw(user_id:int order_id:int status:text total:num note:text)],
	order_items => [qw(user_id:int order_id:int line:int product_id:int quantity:int price:num)],
	products => [qw(product_id:int name:text category:text price:num)],
	countries => [qw(code:text name:text)],
	regions => [qw(country:text region:text)],
	accounts => [qw(id:int owner:int balance:num version:int)],
	measurements => [qw(sensor:int day:date value:num)],
	kv => [qw(key:text value:text n:int)],
	gaps => [qw(id:int a:int b:text c:bool d:num)],
	nothing => [qw(id:int v:text)],);
my @names = sort keys %tables;

# Constants by type, some of which occur.
my %constants = (
	int => [qw(0 1 2 3 5 8 13 40 100 1000000007)],
	text => [ map { "'$_'" } 'DE', 'FR', 'paid', 'new', 'note 3', 'b1', 'user D3', 'k7', 'books', '' ],
	num => [qw(0 0.5 10.25 100 250.25 499)],
	date => [ map { "date '$_'" } '1950-01-01', '1980-06-15', '2024-02-29' ],
	bool => [qw(true false)],);

# Expressions by type; {type} stands for one of that type.
my %expressions = (
	int => [ '{int} + {int}', '{int} % 7', 'length({text})', 'coalesce({int}, 0)', '(- {int})', 'CASE WHEN {bool} THEN {int} ELSE {int} END' ],
	text => [ 'upper({text})', 'left({text}, 3)', "coalesce({text}, 'none')", "{text} || '-' || {int}", 'nullif({text}, {text})' ],
	num => [ '{num} * 2', '{num} + {int}', 'round({num})', 'greatest({num}, {num})', 'abs({num} - {num})' ],
	date => [ '{date} + 30', 'least({date}, {date})', "date_trunc('year', {date})::date" ],
	bool => [
		'{int} = {int}', '{int} < {int}', '{text} = {text}', '{text} > {text}', '{num} >= {num}', '{date} < {date}',
		'NOT {bool}', '({bool} AND {bool})', '({bool} OR {bool})', '{int} IS NULL', '{text} IS NOT NULL',
		'{int} IS DISTINCT FROM {int}', '{int} BETWEEN {int} AND {int}', '{int} IN (1, 2, {int})',
		"{text} LIKE '%e%'", '({bool}) IS NOT TRUE' ],);

my @aggregates = (
	[ 'int', 'count(*)' ], [ 'int', 'count({text})' ], [ 'int', 'count(DISTINCT {int})' ], [ 'int', 'sum({int})::bigint' ],
	[ 'num', 'sum({num})' ], [ 'num', 'avg({num})' ], [ 'int', 'min({int})' ], [ 'text', 'max({text})' ], [ 'date', 'max({date})' ],
	[ 'bool', 'bool_or({bool})' ], [ 'text', "string_agg({text}, ',' ORDER BY {text})" ],
	[ 'int', 'count(*) FILTER (WHERE {bool})' ], [ 'int', 'count(DISTINCT {text})' ], [ 'num', 'sum(DISTINCT {int})' ],
	[ 'num', 'round(stddev({int}), 8)' ], [ 'num', 'round(var_pop({num}), 8)' ], [ 'num', 'sum({num}) FILTER (WHERE {bool})' ],
	[ 'num', 'round(avg({int}), 8)' ], [ 'int', 'bit_xor({int})' ], [ 'num', 'percentile_disc(0.5) WITHIN GROUP (ORDER BY {num})' ],);
# The argument of string_agg has to be what it is ordered by.
my @windows = (
	[ 'int', 'count(*) OVER (PARTITION BY {text})' ], [ 'num', 'sum({num}) OVER (PARTITION BY {int})' ],
	[ 'int', 'rank() OVER (ORDER BY {int})' ], [ 'int', 'dense_rank() OVER (PARTITION BY {text} ORDER BY {num})' ],
	[ 'num', 'max({num}) OVER (ORDER BY {int})' ],);

my $next_alias;

sub queries
{
	my ($seed, $count) = @_;
	my @queries;

	srand($seed);
	foreach my $i (1 .. $count)
	{
		$next_alias = 0;
		push @queries, { title => "seed $seed, query $i", sql => prepared_or_not(statement()) };
	}
	return @queries;
}

sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }

# Some statements that compare with a constant are prepared with a parameter.
sub prepared_or_not
{
	my ($sql) = @_;

	return "$sql;\n" unless chance(0.3) && $sql =~ s/= \d+\b(?![.\d])/= \$1/;
	return "SET plan_cache_mode = force_generic_plan;\nPREPARE q (int) AS $sql;\n"
	  . join '', map { "EXECUTE q ($_);\n" } 8, 5, 'NULL';
}

# A whole statement: one SELECT, a set operation, or one over a CTE.
sub statement
{
	my @types = map { pick(qw(int int text num bool date)) } 1 .. 1 + int(rand(4));

	if (chance(0.15))
	{
		my $with = select_of([], 1, @types);
		my @columns = map { "x$_:$types[$_ - 1]" } 1 .. @types;
		my $relation = { alias => 'cte', columns => \@columns };
		my $list = join ', ', map { s/:.*//r } @columns;
		my $how = pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ');
		return "WITH cte ($list) AS $how($with) SELECT "
		  . join(', ', map { expression($_, [$relation], 1) } @types)
		  . ' FROM cte WHERE ' . expression('bool', [$relation], 1) . tail(scalar @types);
	}
	if (chance(0.15))
	{
		my $operation = pick('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL');
		return select_of([], 1, @types) . " $operation " . select_of([], 1, @types) . tail(scalar @types);
	}
	return select_of([], 2, @types) . tail(scalar @types);
}

# ORDER BY everything, so that a LIMIT has one answer.
sub tail
{
	my ($columns) = @_;

	return '' if chance(0.5);
	my $order = ' ORDER BY ' . join ', ',
	  map { $_ . pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST') } 1 .. $columns;
	return $order . (chance(0.6) ? ' LIMIT ' . int(rand(20)) : '') . (chance(0.2) ? ' OFFSET ' . int(rand(10)) : '');
}

# A SELECT with columns of these types.  Depth limits how far it nests; outer are
# the relations of the query around it.
sub select_of
{
	my ($outer, $depth, @types) = @_;
	my ($from, @relations) = from_clause($depth);
	my $scope = [@relations];
	my $where = chance(0.7) ? ' WHERE ' . condition([ @$scope, @$outer ], $depth) : '';

	if (chance(0.3))
	{
		return aggregate_of($from, $where, $scope, @types);
	}
	my $distinct = chance(0.15) ? 'DISTINCT ' : '';
	my @list = map { select_item($_, $scope) } @types;
	return "SELECT $distinct" . join(', ', @list) . " FROM $from$where";
}

sub select_item
{
	my ($type, $scope) = @_;
	my @fit = grep { $_->[0] eq $type } @windows;

	return fill(pick(@fit)->[1], $scope, 0) if @fit && chance(0.1);
	return expression($type, $scope, 2);
}

# Group columns and aggregates; a type that no aggregate has is grouped by.
sub aggregate_of
{
	my ($from, $where, $scope, @types) = @_;
	my (@list, @groups);

	foreach my $type (@types)
	{
		my @fit = grep { $_->[0] eq $type } @aggregates;
		if (@fit && chance(0.6))
		{
			my $aggregate = pick(@fit)->[1];
			if ($aggregate =~ /^string_agg/)
			{
				my $text = expression('text', $scope, 1);
				$aggregate = "string_agg($text, ',' ORDER BY $text)";
			}
			push @list, fill($aggregate, $scope, 1);
		}
		else
		{
			my $group = column($type, $scope) // pick(@{ $constants{$type} });
			push @list, $group;
			push @groups, scalar @list;
		}
	}
	my $sets = @groups > 1 && chance(0.2) ? pick('ROLLUP', 'CUBE') : '';
	my $by = !@groups ? '' : ' GROUP BY ' . ($sets
		? "$sets (" . join(', ', map { $list[ $_ - 1 ] } @groups) . ')'
		: join ', ', @groups);
	# A constant is no column to roll up.
	$by = ' GROUP BY ' . join ', ', @groups if $sets && grep { !/^[a-z]\w*\./ } map { $list[ $_ - 1 ] } @groups;
	my $having = chance(0.3) ? ' HAVING count(*) > ' . int(rand(4)) : '';
	return 'SELECT ' . join(', ', @list) . " FROM $from$where$by$having";
}

# Tables, joined or not, or a subquery: the text, and what can be named.
sub from_clause
{
	my ($depth) = @_;
	my ($text, @relations) = relation($depth);

	foreach (1 .. pick(0, 0, 1, 1, 2))
	{
		my ($more, $relation) = relation($depth);
		my $on = join_condition([@relations], $relation);
		my $kind = pick(qw(JOIN JOIN LEFT RIGHT FULL));
		$kind = "$kind JOIN" unless $kind eq 'JOIN';
		$text = "$text $kind $more ON $on";
		push @relations, $relation;
	}
	return ($text, @relations);
}

sub relation
{
	my ($depth) = @_;
	my $alias = 't' . ++$next_alias;

	return grouped_by_key($alias) if $depth > 0 && chance(0.08);
	if ($depth > 0 && chance(0.15))
	{
		my @types = map { pick(qw(int int text num)) } 1 .. 2 + int(rand(2));
		my @columns = map { "y$_:$types[$_ - 1]" } 1 .. @types;
		my $list = join ', ', map { s/:.*//r } @columns;
		return ('(' . select_of([], $depth - 1, @types) . tail(scalar @types) . ") AS $alias ($list)",
			{ alias => $alias, columns => \@columns });
	}
	my $name = pick(@names, qw(users orders orders order_items));
	return ("$name $alias", { alias => $alias, columns => $tables{$name} });
}

# Something that is one row, or one after the other, for each key of a table; its
# key keeps its name, so that it is mostly joined on it.
sub grouped_by_key
{
	my ($alias) = @_;
	my $name = pick(grep { $_ ne 'regions' } @names);
	my $relation = { alias => 'inner', columns => $tables{$name} };
	my ($key, $type) = split /:/, $tables{$name}[0];
	my $value = fill(pick('count(*)', 'sum({num})::numeric', 'count(DISTINCT {text})', 'max({int})'), [ { %$relation, alias => 'g' } ], 1);
	my $window = fill(pick('count(*)', 'max({int})'), [ { %$relation, alias => 'g' } ], 1);
	my $where = chance(0.3) ? ' WHERE ' . expression('bool', [ { %$relation, alias => 'g' } ], 1) : '';
	my $text = pick(
		"SELECT g.$key, $value FROM $name g$where GROUP BY g.$key",
		"SELECT DISTINCT g.$key, $window OVER (PARTITION BY g.$key) FROM $name g$where",
		"SELECT g.$key, 1 FROM $name g$where UNION SELECT g.$key, 2 FROM $name g");

	return ("($text) AS $alias ($key, v)", { alias => $alias, columns => [ "$key:$type", 'v:num' ] });
}

# An equality of two columns of one type: usually the keys, if they fit.
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
				next unless $ltype eq $rtype && $ltype =~ /int|text/;
				my $pair = "$relation->{alias}.$lname = $right->{alias}.$rname";
				push @pairs, ($pair) x ($lname eq $rname ? 8 : 1);
			}
		}
	}
	return @pairs ? pick(@pairs) : "$left->[0]{alias} IS NOT NULL = ($right->{alias} IS NULL)";
}

# A condition, now and then one that pins the key or holds a subquery.
sub condition
{
	my ($scope, $depth) = @_;
	my $relation = pick(@$scope);
	my ($key, $type) = split /:/, $relation->{columns}[0];

	return "$relation->{alias}.$key = " . pick(@{ $constants{$type} }) . (chance(0.3) ? ' AND ' . expression('bool', $scope, 1) : '')
	  if chance(0.2);
	return "$relation->{alias}.$key IN (" . join(', ', map { pick(@{ $constants{$type} }) } 1 .. 3) . ')' if chance(0.1);
	if ($depth > 0 && chance(0.25))
	{
		my $not = pick('', 'NOT ');
		if (chance(0.5))
		{
			my ($more, $inner) = relation(0);
			return "${not}EXISTS (SELECT FROM $more WHERE " . join_condition([$relation], $inner)
			  . (chance(0.5) ? ' AND ' . expression('bool', [ $inner, @$scope ], 1) : '') . ')';
		}
		return "$relation->{alias}.$key ${not}IN (" . select_of([], $depth - 1, $type) . ')';
	}
	return expression('bool', $scope, 2);
}

sub expression
{
	my ($type, $scope, $depth) = @_;

	return fill(pick(@{ $expressions{$type} }), $scope, $depth - 1)
	  if $depth > 0 && chance($type eq 'bool' ? 0.9 : 0.35);
	return column($type, $scope) // pick(@{ $constants{$type} }) if chance(0.8);
	return pick(@{ $constants{$type} });
}

sub fill
{
	my ($template, $scope, $depth) = @_;

	return $template =~ s/\{(\w+)\}/expression($1, $scope, $depth)/ger;
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
