# The checker of histories finds each anomaly, and none where there is none.

use strict;
use warnings;

use PgCluster::History;
use Test::More;

sub t { my ($id, $status, @ops) = @_; return { id => $id, status => $status, ops => \@ops }; }
sub a { return [ append => @_ ]; }
sub r { my ($key, $list, $statement) = @_; return [ read => $key, $list, $statement ]; }

# Names of what is found, each once.
sub names
{
	my ($final, $options, @transactions) = @_;
	my %names = map { /^(.*?):/ ? ($1 => 1) : ($_ => 1) } PgCluster::History::check(\@transactions, $final, %$options);
	return join ',', sort keys %names;
}
my $rc = {};
my $rr = { single => 1, statements => 1 };

# name, expected with READ COMMITTED, with one snapshot, final state, transactions
my @cases = (
	[ 'a serial history', '', '', { x => [ 1, 2 ], y => [ 1, 2 ] },
		t('A', 'ok', a(x => 1), a(y => 1)), t('B', 'ok', r(x => [1]), a(x => 2), r(x => [ 1, 2 ]), a(y => 2)), t('C', 'ok', r(x => [ 1, 2 ]), r(y => [ 1, 2 ])) ],
	[ 'snapshots side by side (write skew)', '', '', { x => [1], y => [2] },
		t('A', 'ok', r(x => []), r(y => []), a(x => 1)), t('B', 'ok', r(x => []), r(y => []), a(y => 2)) ],
	[ 'a failed and an unknown one', '', '', { x => [2] },
		t('A', 'fail', a(x => 1)), t('B', 'unknown', a(x => 2)), t('C', 'unknown', a(x => 3)) ],
	[ 'a lost append', 'lost', 'lost', { x => [1] }, t('A', 'ok', a(x => 1)), t('B', 'ok', a(x => 2)) ],
	[ 'an append lost under another', 'order', 'order', { x => [2] }, t('A', 'unknown', a(x => 1)), t('B', 'ok', a(x => 2)), t('C', 'ok', r(x => [1])) ],
	[ 'an append carried out twice', 'duplicate', 'duplicate', { x => [ 1, 1 ] }, t('A', 'ok', a(x => 1)) ],
	[ 'an append by nobody', 'phantom', 'phantom', { x => [7] }, t('A', 'ok', r(x => [])) ],
	[ 'a transaction half carried out', 'half', 'half', { x => [1], y => [] }, t('A', 'unknown', a(x => 1), a(y => 1)) ],
	[ 'a failed transaction that is there', 'G1a', 'G1a', { x => [1] }, t('A', 'fail', a(x => 1)) ],
	[ 'a failed transaction that was seen', 'G1a', 'G1a', { x => [] }, t('A', 'fail', a(x => 1)), t('B', 'ok', r(x => [1])) ],
	[ 'an intermediate version', 'G1b', 'G-single,G1b,fractured read,fractured statement', { x => [ 1, 2 ] }, t('A', 'ok', a(x => 1), a(x => 2)), t('B', 'ok', r(x => [1])) ],
	[ 'its own append not seen', 'internal', 'internal', { x => [1] }, t('A', 'ok', a(x => 1), r(x => [])) ],
	[ 'writes in different orders', 'G0', 'G0', { x => [ 1, 2 ], y => [ 2, 1 ] },
		t('A', 'ok', a(x => 1), a(y => 1)), t('B', 'ok', a(x => 2), a(y => 2)) ],
	[ 'each saw the other', 'G1c', 'G1c', { x => [1], y => [2] },
		t('A', 'ok', a(x => 1), r(y => [2])), t('B', 'ok', a(y => 2), r(x => [1])) ],
	[ 'a circle of three', 'G1c', 'G1c', { x => [ 1, 2 ], y => [2], z => [3] },
		t('A', 'ok', a(x => 1), r(z => [3])), t('B', 'ok', a(x => 2), a(y => 2)), t('C', 'ok', r(y => [2]), a(z => 3)) ],
	[ 'half of a transaction, read in turn', '', 'G-single,fractured read', { x => [1], y => [1] },
		t('A', 'ok', a(x => 1), a(y => 1)), t('B', 'ok', r(x => [1], 1), r(y => [], 2)) ],
	[ 'half of a transaction in one statement', '', 'G-single,fractured read,fractured statement', { x => [1], y => [1] },
		t('A', 'ok', a(x => 1), a(y => 1)), t('B', 'ok', r(x => [1], 1), r(y => [], 1)) ],
	[ 'what a transaction built upon is missing', '', 'G-single', { x => [1], y => [2] },
		t('A', 'ok', a(x => 1)), t('B', 'ok', r(x => [1]), a(y => 2)), t('C', 'ok', r(y => [2]), r(x => [])) ],
	[ 'a lost update', '', 'G-single', { x => [ 1, 2 ] }, t('A', 'ok', r(x => []), a(x => 1)), t('B', 'ok', r(x => []), a(x => 2)) ],
);
foreach my $case (@cases)
{
	my ($name, $read_committed, $one_snapshot, $final, @transactions) = @$case;
	is(names($final, $rc, @transactions), $read_committed, "$name, in READ COMMITTED");
	is(names($final, $rr, @transactions), $one_snapshot, "$name, with one snapshot");
}

my ($text) = PgCluster::History::check([ t('A', 'ok', a(x => 1), a(y => 1)), t('B', 'ok', r(x => [1]), r(y => [])) ], { x => [1], y => [1] }, single => 1);
is($text, 'G-single: B -(rw y)-> A -(wr x)-> B', 'a cycle is shown');

done_testing();
