# What the processes of high availability cost while nothing happens; see
# ../README.md.  Started by ../agent.
use strict;
use warnings;

use Getopt::Long;
use HTTP::Tiny;
use PgCluster;
use POSIX ();
use Time::HiRes qw(sleep time);

my %option = (members => 3, seconds => 30, ttl => 5);
GetOptions(\%option, 'members=i', 'seconds=f', 'ttl=i') && !@ARGV
  or die "usage: bench/agent [--members n] [--seconds s] [--ttl s]\n";

my $hertz = POSIX::sysconf(&POSIX::_SC_CLK_TCK);
my @workers = ('agent', 'probe', 'http');
my $c = PgCluster->new(groups => { 0 => $option{members} }, dcs => { ttl => $option{ttl} });
$c->node($_)->{settings} = { 'pgcluster.http_port' => PgCluster::free_port() } foreach $c->members(0);
$c->start;
$c->wait_ready(0);
# What a start and an election leave to do.
sleep(2 * $option{ttl});

# Processes of high availability of a member, by name.
sub processes
{
	my ($name) = @_;
	my %pid;

	foreach my $pid (PgCluster::process_tree($c->postmaster_pid($name)))
	{
		my ($what) = PgCluster::read_file("/proc/$pid/cmdline") =~ /pgcluster (\w+)/ or next;
		$pid{$what} = $pid if grep { $_ eq $what } @workers;
	}
	return %pid;
}

# Seconds of processor time that a process has used.
sub used
{
	my ($pid) = @_;
	my @field = split ' ', PgCluster::read_file("/proc/$pid/stat") =~ s/^.*\)//sr;

	return ($field[11] + $field[12]) / $hertz;
}

# What is the process's own, in MB.
sub private
{
	my ($pid) = @_;
	my ($kb) = PgCluster::read_file("/proc/$pid/smaps_rollup") =~ /^Private_Dirty:\s+(\d+) kB/m;

	return $kb / 1024;
}

# Requests that all of etcd has answered to clients; streams count once.
sub requests
{
	my $n = 0;

	foreach my $endpoint (split /,/, $c->{store}->endpoints)
	{
		my $answer = HTTP::Tiny->new(timeout => 5)->get("http://$endpoint/metrics");

		$answer->{success} or die "etcd at $endpoint does not show its metrics\n";
		$n += $1 while $answer->{content} =~ /^grpc_server_started_total\{[^}]*grpc_service="etcdserverpb\.[^}]*\} (\S+)$/mg;
	}
	return $n;
}

my $leader = $c->leader(0);
my %pids = map { $_ => { processes($_) } } $c->members(0);
my $requests = requests();
my $start = time();
my %before;
foreach my $name (keys %pids)
{
	$before{$name}{$_} = used($pids{$name}{$_}) foreach keys %{ $pids{$name} };
}
sleep($option{seconds});
my $took = time() - $start;

print join("\t", 'member', 'process', 'percent of a core', 'private MB'), "\n";
foreach my $name (sort keys %pids)
{
	my $role = $name eq $leader ? 'leader' : 'standby';

	foreach my $what (grep { $pids{$name}{$_} } @workers)
	{
		my $pid = $pids{$name}{$what};

		printf "%s\t%s\t%.2f\t%.1f\n", "$name, $role", $what, 100 * (used($pid) - $before{$name}{$what}) / $took, private($pid);
	}
}
printf "etcd\trequests a second and member\t%.2f\n", (requests() - $requests) / $took / $option{members};
$c->stop;
