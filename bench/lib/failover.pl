# The scenarios of bench/failover, which see.
#
# Three members of one group and three of etcd run on this machine.  For each
# run of a scenario a writer inserts 100 rows a second through a connection
# string that names all members, and beside it a prober per member that
# connects to that member alone: so two members that accept writes at the same
# time are seen even if the writer talks to one of them only.

use strict;
use warnings;

use Getopt::Long;
use PgCluster;
use Time::HiRes qw(sleep time);

# What happens to the leader, and, once another member leads, how it comes
# back where it does not do so by itself.
my @scenarios = (
	{
		name => 'switchover',
		about => 'SELECT cluster_switchover(): the lead is handed over',
		strike => sub { $_[0]->sql($_[1], 'SELECT cluster_switchover()') }
	},
	{
		name => 'clean_stop',
		about => 'the leader is stopped in an orderly manner, and started when another one leads',
		strike => sub { $_[0]->stop_node($_[1]) },
		mend => sub { $_[0]->start_node($_[1]) }
	},
	{
		name => 'postmaster_kill',
		about => 'SIGKILL for the postmaster of the leader',
		strike => sub { $_[0]->kill_postmaster($_[1]) }
	},
	{
		name => 'node_kill',
		about => 'SIGKILL for all processes of the leader, which is started when another one leads',
		strike => sub { $_[0]->kill_all($_[1]) },
		mend => sub { $_[0]->start_node($_[1]) }
	},
	{
		name => 'agent_stop',
		about => 'SIGSTOP for the agent of the leader until another one leads',
		strike => sub { $_[0]{agent} = $_[0]->agent_pid($_[1]); kill 'STOP', $_[0]{agent} },
		mend => sub { kill 'CONT', $_[0]{agent} }
	});

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
  6  median of the time until the old leader streams again, in seconds

Options:
  --runs=N      how often each scenario runs (default 3)
  --sync=MODE   synchronous_mode: off (default), on or quorum
  --ttl=S       time to live of the lease, in seconds (default 5)
  --list        name the scenarios
  --help        show this help

Scenarios:
END
	printf "  %-16s %s\n", $_->{name}, $_->{about} foreach @scenarios;
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

# A client of one member alone, whatever that member is.
sub start_probe
{
	my ($c, $name) = @_;

	return PgCluster::Writer->start(
		program => "$c->{bindir}/psql",
		conninfo => $c->conninfo($name),
		record => "$c->{dir}/probe-$name-" . ++$c->{probes},
		rate => 20,
		patient => 1,
		table => 'probe');
}

# Runs a scenario once.
sub run_once
{
	my ($c, $scenario) = @_;
	my $old = $c->wait_ready(0);
	my $writer = $c->writer(0);
	my @probes = map { start_probe($c, $_) } $c->members(0);

	PgCluster::wait_until(sub { $writer->acknowledged > 50 }) or die "the writer does not write\n";
	my $start = time();
	$scenario->{strike}->($c, $old);
	my $new = $c->new_leader(0, $old);
	$scenario->{mend}->($c, $old) if $scenario->{mend};
	$c->wait_streaming($old);
	my $back = time() - $start;

	# The writer must have gone on for a while with the new leader.
	my $port = $c->node($new)->{port};
	my $since = time();
	PgCluster::wait_until(
		sub {
			my @rows = $writer->acknowledged;
			return $rows[-1]{port} == $port && $rows[-1]{at} > $since + 1;
		}) or die "the writer does not go on\n";

	my @rows = $writer->stop;
	my @probed = map { [ $_->stop ] } @probes;
	foreach my $i (0 .. $#probed)
	{
		my $own = $c->node(($c->members(0))[$i])->{port};
		push @{ $probed[$i] }, grep { $_->{port} == $own } @rows;
	}
	return {
		gap => PgCluster::Writer::longest_gap($start, @rows),
		lost => scalar $c->lost_rows(0, $writer, @rows),
		overlap => PgCluster::Writer::overlap($start, @probed),
		back => $back
	};
}

sub run_scenario
{
	my ($c, $scenario, $runs) = @_;
	my @results;

	foreach my $i (1 .. $runs)
	{
		my $r = run_once($c, $scenario);
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

my %options = (runs => 3, sync => 'off', ttl => 5);

$| = 1;
local $SIG{__WARN__} = sub { usage_error($_[0] =~ s/\n//r) };
GetOptions(\%options, 'runs=i', 'sync=s', 'ttl=i', 'list', 'help');
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
usage_error('--runs and --ttl must be positive') unless $options{runs} > 0 && $options{ttl} > 0;
my @chosen;
foreach my $name (@ARGV)
{
	my ($scenario) = grep { $_->{name} eq $name } @scenarios;
	usage_error("there is no scenario \"$name\"") unless $scenario;
	push @chosen, $scenario;
}

# Usage errors end with 2, all others with 1.
eval {
	my $c = PgCluster->new(
		groups => { 0 => 3 },
		etcd => 3,
		dcs => { ttl => $options{ttl} },
		sync => $options{sync},
		settings => { fsync => 'on' });
	print STDERR "starting three members\n";
	$c->start;
	$c->sql(0, 'CREATE TABLE probe (id bigint, port int)');
	run_scenario($c, $_, $options{runs}) foreach @chosen;
	$c->stop;
	1;
} or do
{
	print STDERR $@;
	exit 1;
};
