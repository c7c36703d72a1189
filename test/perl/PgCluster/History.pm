package PgCluster::History;

# Finds what transactions may not do in a history of list appends and reads.
#
# The anomalies are those of A. Adya, "Weak Consistency: A Generalized Theory
# and Optimistic Implementations for Distributed Transactions" (MIT, 1999); that
# lists to which unique elements are appended show the order of versions, so
# that the dependencies can be read off what clients saw, is the idea of
# K. Kingsbury and P. Alvaro, "Elle: Inferring Isolation Anomalies from
# Experimental Observations" (VLDB 2020).
#
# A transaction: {id, status => ok | fail | unknown, ops => [...]}; an operation:
#	[append => key, element]		elements are unique for their key
#	[read => key, [elements], statement]	what a statement (a number) saw of a key
# "final" is what was there when all was over: {key => [elements]}.
#
#	my @anomalies = PgCluster::History::check(\@transactions, \%final, %options);
#
# Options, each for what an isolation level forbids:
#	single	true: cycles with one anti-dependency and fractured reads of transactions
#	statements	true: fractured reads of one statement
# An anomaly is a text that begins with its name and a colon.

use strict;
use warnings;

sub check
{
	my ($transactions, $final, %options) = @_;
	my $h = { final => $final, found => [], of => {}, at => {}, last => {}, wrote => {} };

	index_writes($h, $transactions);
	check_final($h, $transactions);
	check_reads($h, $_) foreach @$transactions;
	build_graph($h, $transactions);
	check_cycles($h, %options);
	foreach my $t (@$transactions)
	{
		next unless $t->{status} eq 'ok';
		check_fractured($h, $t, $t->{external}, 'fractured read') if $options{single};
		next unless $options{statements};
		my %by_statement;
		push @{ $by_statement{ $_->[2] } }, $_ foreach @{ $t->{external} };
		check_fractured($h, $t, $_, 'fractured statement') foreach values %by_statement;
	}
	my %seen;
	return grep { !$seen{$_}++ } @{ $h->{found} };
}

sub found
{
	my ($h, $name, $text) = @_;
	push @{ $h->{found} }, "$name: $text";
	return;
}

# Who wrote an element, and which is a transaction's last one of a key.
sub index_writes
{
	my ($h, $transactions) = @_;
	foreach my $t (@$transactions)
	{
		foreach my $op (grep { $_->[0] eq 'append' } @{ $t->{ops} })
		{
			my (undef, $key, $element) = @$op;
			$h->{of}{$key}{$element} = $t;
			$h->{last}{ $t->{id} }{$key} = $element;
			push @{ $h->{wrote}{ $t->{id} } }, [ $key, $element ];
		}
	}
	return;
}

# What is there in the end: all of who was told so, nothing of who was told
# that it failed, and of others all or nothing.
sub check_final
{
	my ($h, $transactions) = @_;
	foreach my $key (sort keys %{ $h->{final} })
	{
		my $i = 0;
		foreach my $element (@{ $h->{final}{$key} })
		{
			found($h, 'duplicate', "$element is twice in $key") if exists $h->{at}{$key}{$element};
			found($h, 'phantom', "nobody appended $element, which is in $key") unless $h->{of}{$key}{$element};
			$h->{at}{$key}{$element} = $i++;
		}
	}
	foreach my $t (@$transactions)
	{
		my @wrote = @{ $h->{wrote}{ $t->{id} } // [] };
		my @there = grep { exists $h->{at}{ $_->[0] }{ $_->[1] } } @wrote;
		my @missing = grep { !exists $h->{at}{ $_->[0] }{ $_->[1] } } @wrote;
		$t->{committed} = $t->{status} eq 'ok' || ($t->{status} eq 'unknown' && @there > 0);
		found($h, 'G1a', "$t->{id} failed, and its $_->[1] is in $_->[0]") foreach $t->{status} eq 'fail' ? @there : ();
		next unless $t->{committed};
		found($h, $t->{status} eq 'ok' ? 'lost' : 'half', "$t->{id} appended $_->[1] to $_->[0], which is not there") foreach @missing;
	}
	return;
}

# What each read says by itself.  Keeps what it shows of others: [key, number
# of elements, statement].
sub check_reads
{
	my ($h, $t) = @_;
	my %own;

	$t->{external} = [];
	foreach my $op (@{ $t->{ops} })
	{
		my ($what, $key, $value, $statement) = @$op;
		if ($what eq 'append') { push @{ $own{$key} }, $value; next; }

		my @seen = @$value;
		foreach my $element (@seen)
		{
			my $writer = $h->{of}{$key}{$element};
			found($h, 'G1a', "$t->{id} saw $element in $key, of $writer->{id}, which failed") if $writer && $writer->{status} eq 'fail' && $writer != $t;
		}
		next unless $t->{status} eq 'ok';

		my @mine = @{ $own{$key} // [] };
		my @tail = @mine > @seen ? () : splice @seen, @seen - @mine;
		if ("@tail" ne "@mine")
		{
			found($h, 'internal', "$t->{id} does not see in $key what it appended itself");
			next;
		}
		my @there = @{ $h->{final}{$key} // [] };
		if (@seen > @there || "@seen" ne join ' ', @there[ 0 .. $#seen ])
		{
			found($h, 'order', "$t->{id} saw @seen in $key, which became @there") unless grep { !defined $h->{at}{$key}{$_} && ($h->{of}{$key}{$_} // { status => '' })->{status} eq 'fail' } @seen;
			next;
		}
		push @{ $t->{external} }, [ $key, scalar @seen, $statement // 0 ];
		next unless @seen;
		my $writer = $h->{of}{$key}{ $seen[-1] } or next;
		found($h, 'G1b', "$t->{id} saw $seen[-1] in $key, which was not the last of $writer->{id}")
		  if $writer != $t && $h->{last}{ $writer->{id} }{$key} ne $seen[-1];
	}
	return;
}

# Edges from a transaction to those that must come after it: "depends" by its
# writes, "anti" because it did not see them.
sub build_graph
{
	my ($h, $transactions) = @_;
	my (%depends, %only_writes, @anti);

	foreach my $key (keys %{ $h->{final} })
	{
		my @writers = map { $h->{of}{$key}{$_} } @{ $h->{final}{$key} };
		foreach my $i (1 .. $#writers)
		{
			next if !$writers[$i] || !$writers[ $i - 1 ] || $writers[$i] == $writers[ $i - 1 ];
			$only_writes{ $writers[ $i - 1 ]{id} }{ $writers[$i]{id} } = "ww $key";
		}
	}
	%depends = map { $_ => { %{ $only_writes{$_} } } } keys %only_writes;
	foreach my $t (grep { $_->{status} eq 'ok' } @$transactions)
	{
		foreach my $read (@{ $t->{external} })
		{
			my ($key, $n) = @$read;
			my @list = @{ $h->{final}{$key} // [] };
			my $before = $n > 0 ? $h->{of}{$key}{ $list[ $n - 1 ] } : undef;
			my $after = $n < @list ? $h->{of}{$key}{ $list[$n] } : undef;
			$depends{ $before->{id} }{ $t->{id} } //= "wr $key" if $before && $before != $t;
			push @anti, [ $t->{id}, $after->{id}, "rw $key" ] if $after && $after != $t;
		}
	}
	@$h{qw(only_writes depends anti)} = (\%only_writes, \%depends, \@anti);
	return;
}

# The shortest way from one to the other, as text; undef if there is none.
sub path
{
	my ($edges, $from, $to) = @_;
	my %by = ($from => undef);
	my @next = ($from);
	my $reached;

	while (defined(my $at = shift @next))
	{
		foreach my $n (sort keys %{ $edges->{$at} // {} })
		{
			if ($n eq $to) { $reached = $at; last; }
			next if exists $by{$n};
			$by{$n} = $at;
			push @next, $n;
		}
		last if defined $reached;
	}
	return unless defined $reached;
	my $text = "-($edges->{$reached}{$to})-> $to";
	my $at = $reached;
	while (defined $by{$at})
	{
		$text = "-($edges->{ $by{$at} }{$at})-> $at $text";
		$at = $by{$at};
	}
	return "$at $text";
}

# One cycle of such edges, as text.
sub cycle
{
	my ($edges) = @_;
	my %state;

	foreach my $start (sort keys %$edges)
	{
		next if $state{$start};
		my @stack = ([ $start, [ sort keys %{ $edges->{$start} } ] ]);
		$state{$start} = 1;
		while (@stack)
		{
			my ($at, $next) = @{ $stack[-1] };
			my $n = shift @$next;
			if (!defined $n) { $state{$at} = 2; pop @stack; next; }
			return path($edges, $n, $n) if ($state{$n} // 0) == 1;
			next if $state{$n};
			$state{$n} = 1;
			push @stack, [ $n, [ sort keys %{ $edges->{$n} // {} } ] ];
		}
	}
	return;
}

sub check_cycles
{
	my ($h, %options) = @_;
	my $g0 = cycle($h->{only_writes});
	my $g1c = $g0 ? undef : cycle($h->{depends});

	found($h, 'G0', $g0) if $g0;
	found($h, 'G1c', $g1c) if $g1c;
	return if $g0 || $g1c || !$options{single};
	foreach my $anti (@{ $h->{anti} })
	{
		my ($from, $to, $what) = @$anti;
		my $back = path($h->{depends}, $to, $from) or next;
		found($h, 'G-single', "$from -($what)-> $back");
		return;
	}
	return;
}

# A transaction of which one key was seen and another one was not.
sub check_fractured
{
	my ($h, $t, $reads, $name) = @_;
	my (%seen, %missed);

	foreach my $read (@$reads)
	{
		my ($key, $n) = @$read;
		my @list = @{ $h->{final}{$key} // [] };
		foreach my $i (0 .. $#list)
		{
			my $writer = $h->{of}{$key}{ $list[$i] } or next;
			next if $writer == $t;
			($i < $n ? \%seen : \%missed)->{ $writer->{id} } //= $key;
		}
	}
	found($h, $name, "$t->{id} saw $_ in $seen{$_} and not in $missed{$_}") foreach grep { exists $missed{$_} } sort keys %seen;
	return;
}

1;
