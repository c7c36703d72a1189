package Layouts;

# The tables, and the ways in which they are laid out over the nodes: each
# layout is a schema with the same tables and rows as schema plain.
#
#	dist        as an application would have it, with foreign keys
#	colocated   every table is split by its key, all of one type alike
#	spread      every table is split by another column, or with other shards
#	reference   every table is on every node
#	mixed1..8   each table in turn is one of these, or local: over 1 to 4, and
#	            over 5 to 8, each has been each of them, with other neighbours

use strict;
use warnings;

# The key and the other column that a table is split by, and the type of the key.
# "dist" says what it is there: split by its key unless it says otherwise; how
# its rows get in: they are there when it is distributed, or come by COPY or INSERT.
# Reference tables first, then as foreign keys ask for it.
our @tables = (
	{ name => 'countries', key => 'code', dist => 'reference' },
	{ name => 'products', key => 'product_id', dist => 'reference', load => 'copy' },
	{ name => 'users', key => 'user_id' },
	{ name => 'orders', key => 'user_id', other => 'order_id', load => 'copy' },
	{ name => 'order_items', key => 'user_id', other => 'order_id', load => 'copy' },
	{ name => 'events', key => 'device', load => 'copy' },
	{ name => 'accounts', key => 'id', load => 'insert' },
	{ name => 'measurements', key => 'sensor', other => 'day' },
	{ name => 'kv', key => 'key', load => 'insert' },
	{ name => 'gaps', key => 'id', load => 'insert' },
	{ name => 'nothing', key => 'id', load => 'copy' },
	{ name => 'types', key => 'id', load => 'copy' },
	{ name => 'regions', key => 'region', dist => 'local' },
	{ name => 'r1', key => 'k' },
	{ name => 'r2', key => 'k', other => 's' },
	{ name => 'r3', key => 'k' },
	{ name => 'r4', key => 's', other => 'k' },
	{ name => 'r5', key => 'k', other => 'd' },
	{ name => 'r6', key => 'k', other => 's', dist => 'reference' },
	{ name => 'r7', key => 'k', other => 'v' },
	{ name => 'words', key => 'id', load => 'copy' },);

our @names = qw(dist colocated spread reference mixed1 mixed2 mixed3 mixed4 mixed5 mixed6 mixed7 mixed8);
our $shard_count = 4;

my @kinds = qw(colocated spread reference local);

# What a table is in a layout: colocated, spread, reference or local.
sub kind
{
	my ($layout, $number) = @_;

	return $tables[$number]{dist} // 'colocated' if $layout eq 'dist';
	return $layout unless $layout =~ /^mixed(\d+)$/;
	my $turn = $1 - 1;

	# Neighbours in the list differ, and by another distance in the second round.
	return $kinds[ ($number * ($turn < 4 ? 1 : 3) + int($number / 4) * ($turn < 4 ? 1 : 2) + $turn) % 4 ];
}

# The SQL that splits a table as its layout says, if it does.
sub distribute
{
	my ($layout, $number) = @_;
	my $table = $tables[$number];
	my $kind = kind($layout, $number);
	my $name = "'$layout.$table->{name}'";

	return '' if $kind eq 'local';
	return "SELECT create_reference_table($name);\n" if $kind eq 'reference';
	return "SELECT create_distributed_table($name, '$table->{key}', shard_count => $shard_count);\n"
	  if $kind eq 'colocated';
	my $column = $table->{other} // $table->{key};
	return "SELECT create_distributed_table($name, '$column', colocate_with => 'none', shard_count => 3);\n";
}

1;
