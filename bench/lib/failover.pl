# The measurements of bench/failover, which see.  What happens to the leaders is
# told in test/perl/PgCluster/Scenario.pm.
#
# Three members of one group and three of etcd run on this machine, each on a
# host of its own where the kernel makes networks for users.

use strict;
use warnings;

use PgCluster::Network;
my $network;
BEGIN { $network = PgCluster::Network::enter(); }

use Getopt::Long;
use PgCluster;
use PgCluster::Scenario;

my @scenarios = PgCluster::Scenario::all();
my %sync = map { $_ => 1 } qw(off on quorum);

sub help
{
	print <<'END';
bench/failover measures how long a writer waits when a leader goes away.

Usage:
  bench/failover [OPTION]... SCENARIO...

Prints per scenario, tab-separated:
  1  its name
  2  median of the writer's gap: the longest time between two acknowledged
     rows around the event, in seconds
  3  the greatest gap of all runs, in seconds
  4  acknowledged rows that the new leader does not have, over all runs
  5  the longest time in which two members acknowledged rows, in seconds
  6  median of the time until the old leader streams again, in seconds, from
     when it could; 0 where it stayed the leader

Options:
  --runs=N      how often each scenario runs (default 3)
  --sync=MODE   synchronous_mode: off (default), on or quorum
  --ttl=S       time to live of the lease, in seconds (default 5)
  --hold=S      how long a fault goes on that lasts "for a time" (default 60)
  --list        name the scenarios
  --help        show this help

Scenarios:
END
	printf "  %-28s %s\n", $_->{name}, $_->{about} foreach @scenarios;
	return;
}

sub usage_error
{
	print STDERR "bench/failover: $_[0]\nTry \"bench/failover --help\".\n";
	exit 2;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	my $middle = int(@sorted / 2);

	return @sorted % 2 ? $sorted[$middle] : ($sorted[ $middle - 1 ] + $sorted[$middle]) / 2;
}

# The cluster that a scenario needs; one serves as many as it can.
my ($cluster, $kind);

sub cluster_for
{
	my ($scenario, $options) = @_;
	my $needs = $scenario->{needs} // '';

	die "$scenario->{name}: " . PgCluster::Network::obstacle() . "\n"
	  if !$network && ($needs eq 'network' || $needs eq 'disk');
	return $cluster if $cluster && ($needs eq $kind || $needs eq 'network' || $needs eq '' && $kind ne 'disk');
	if ($cluster)
	{
		$cluster->stop;
		$cluster->destroy;
	}
	$kind = $needs;
	$cluster = PgCluster->new(
		groups => { 0 => 3 },
		etcd => 3,
		network => $network,
		dcs => { ttl => $options->{ttl} },
		sync => $options->{sync},
		disk => $needs eq 'disk' ? $PgCluster::Scenario::DISK : undef,
		slow_etcd => $needs eq 'slow_etcd',
		settings => { fsync => 'on' });
	print STDERR "starting three members\n";
	$cluster->start;
	return $cluster;
}

sub run_scenario
{
	my ($scenario, $options) = @_;
	my $c = cluster_for($scenario, $options);
	my $runs = $options->{runs};
	my @results;

	foreach my $i (1 .. $runs)
	{
		my $r = PgCluster::Scenario::run($c, $scenario, hold => $options->{hold});
		printf STDERR "%s, run %d of %d: gap %.2f s, lost %d, two writers %.2f s, back after %.2f s\n",
		  $scenario->{name}, $i, $runs, @$r{qw(gap lost overlap back)};
		push @results, $r;
	}
	my ($lost, $overlap, $longest) = (0, 0, 0);
	foreach my $r (@results)
	{
		$lost += $r->{lost};
		$overlap = $r->{overlap} if $r->{overlap} > $overlap;
		$longest = $r->{gap} if $r->{gap} > $longest;
	}
	printf "%s\t%.2f\t%.2f\t%d\t%.2f\t%.2f\n", $scenario->{name}, median(map { $_->{gap} } @results),
	  $longest, $lost, $overlap, median(map { $_->{back} } @results);
	return;
}

my %options = (runs => 3, sync => 'off', ttl => 5, hold => 60);

$| = 1;
local $SIG{__WARN__} = sub { usage_error($_[0] =~ s/\n//r) };
GetOptions(\%options, 'runs=i', 'sync=s', 'ttl=i', 'hold=i', 'list', 'help');
delete $SIG{__WARN__};
if ($options{help})
{
	help();
	exit 0;
}
if ($options{list})
{
	print "$_->{name}\n" foreach @scenarios;
	exit 0;
}
usage_error('name at least one scenario') unless @ARGV;
usage_error("there is no mode \"$options{sync}\" of --sync") unless $sync{ $options{sync} };
usage_error('--runs, --ttl and --hold must be positive')
  if grep { $_ <= 0 } @options{qw(runs ttl hold)};
my @chosen;
foreach my $name (@ARGV)
{
	push @chosen, PgCluster::Scenario::find($name) // usage_error("there is no scenario \"$name\"");
}

# Usage errors end with 2, all others with 1.
eval {
	run_scenario($_, \%options) foreach @chosen;
	$cluster->stop;
	1;
} or do
{
	print STDERR $@;
	exit 1;
};
