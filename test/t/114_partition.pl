# The leader alone is cut off from etcd, by silence and by refusal: it stops
# committing before another one leads, comes back as a standby, and nothing
# acknowledged is lost.
use strict;
use warnings;

use PgCluster;
use Test::More;
use Time::HiRes qw(time);

my $c = PgCluster->new(
	groups => { 0 => 3 },
	dcs => { ttl => 4 },
	settings => { synchronous_standby_names => 'ANY 1 (*)' });
$c->use_proxies;
$c->start;

sub is_cut_off
{
	my ($what, $cut, $mend) = @_;
	my $old = $c->wait_ready(0);
	my $writer = $c->writer(0);
	my $probe = PgCluster::Writer->start(
		program => "$c->{bindir}/psql",
		conninfo => $c->conninfo($old),
		record => "$c->{dir}/probe-$old",
		patient => 1,
		rate => 20,
		table => $writer->{table});

	PgCluster::wait_until(sub { $writer->acknowledged > 20 && $probe->acknowledged > 5 });
	my $start = time();
	$cut->($_) foreach @{ $c->{proxies}{$old} };
	my $other = $c->new_leader(0, $old);
	isnt($other, $old, "$what: another member leads");
	my $took_over = time();
	my $port = $c->node($other)->{port};
	ok(PgCluster::wait_until(
			sub { my @rows = $writer->acknowledged; $rows[-1]{port} == $port && $rows[-1]{at} > $took_over + 0.5 }),
		"$what: the writer goes on");
	$mend->($old);
	$c->wait_streaming($old);
	pass("$what: the old leader follows when it sees etcd again");

	my @probed = $probe->stop;
	my @rows = $writer->stop;
	my @late = grep { $_->{at} > $took_over && $_->{port} != $port } @rows, @probed;
	is(scalar @late, 0, "$what: the old leader acknowledged nothing once another one led");
	is(scalar $c->lost_rows(0, $writer, @rows), 0, "$what: no acknowledged row of " . @rows . ' is missing');
	my $gap = PgCluster::Writer::longest_gap($start, @rows);
	cmp_ok($gap, '<', 15, sprintf('%s: the writer waited %.2f s', $what, $gap));
	return;
}

is_cut_off('silence', sub { $_[0]->signal('STOP') },
	sub { $_->signal('CONT') foreach @{ $c->{proxies}{ $_[0] } } });
is_cut_off('refusal', sub { $_[0]->stop },
	sub {
		my ($name) = @_;

		# The same addresses answer again.
		$_->restart foreach @{ $c->{proxies}{$name} };
	});

$c->stop;
done_testing();
