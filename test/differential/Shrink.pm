package Shrink;

# Text that can be made smaller: a part of it stands with what may stand in its
# place, and both may have such parts in turn.

use strict;
use warnings;

my ($open, $between, $close) = ("\x01", "\x02", "\x03");

# A part, and the simpler one (nothing, unless given) that may replace it.
sub part
{
	my ($full, $simple) = @_;

	return $open . $full . $between . ($simple // '') . $close;
}

# The text with all parts as they are.
sub text
{
	my ($tree) = @_;

	1 while $tree =~ s/$open([^$open$between$close]*)$between[^$open$between$close]*$close/$1/g;
	return $tree;
}

# The smallest tree found for which "holds" is still true.  Outer parts are tried
# first, since they take the inner ones with them.
sub shrink
{
	my ($tree, $holds) = @_;
	my $left = 300;
	my $smaller = 1;

	while ($smaller)
	{
		$smaller = 0;
		for (my $number = 0;; $number++)
		{
			my $try = replaced($tree, $number) // last;
			return $tree if $left-- == 0;
			next unless $holds->($try);
			$tree = $try;
			$number--;
			$smaller = 1;
		}
	}
	return $tree;
}

# The tree with one of its parts replaced, counted from its begin; undef when
# there are fewer.
sub replaced
{
	my ($tree, $number) = @_;
	my $at = -1;

	do { $at = index $tree, $open, $at + 1; return if $at < 0; } while ($number-- > 0);
	my ($middle, $end);
	my $depth = 0;
	for (my $i = $at; !defined $end; $i++)
	{
		my $character = substr $tree, $i, 1;
		$depth++ if $character eq $open;
		$middle //= $i if $character eq $between && $depth == 1;
		$end = $i if $character eq $close && --$depth == 0;
	}
	return substr($tree, 0, $at) . substr($tree, $middle + 1, $end - $middle - 1) . substr($tree, $end + 1);
}

1;
