# A leader that holds its lease but cannot write, or takes no connections,
# gives the lead up; while nobody else may lead, it goes on.
use strict;
use warnings;

use PgCluster;
use Test::More;
use Time::HiRes qw(time);

# A disk of its own for one member needs a namespace, in which this program
# starts anew.
my @unshare = ('unshare', '--user', '--map-current-user', '--keep-caps', '--mount');
my $mounts = $ENV{PGCLUSTER_TEST_MOUNTS};
if (!defined $mounts)
{
	$ENV{PGCLUSTER_TEST_MOUNTS} = system("@unshare mount -t tmpfs none /mnt >/dev/null 2>&1") == 0 ? 1 : 0;
	exec(@unshare, $^X, (map { "-I$_" } @INC), $0) if $ENV{PGCLUSTER_TEST_MOUNTS};
	$mounts = 0;
}
delete $ENV{PGCLUSTER_TEST_MOUNTS};

my $c = PgCluster->new(groups => { 0 => 2 });
my ($first, $second) = $c->members(0);
my $disk = "$c->{dir}/disk";
if ($mounts)
{
	mkdir $disk;
	system('mount', '-t', 'tmpfs', '-o', 'size=256m', 'none', $disk) == 0 or BAIL_OUT("could not mount $disk");
	$c->node($first)->{data} = "$disk/data";
}
$c->start;
my $writer;
my $probe_settled = "SELECT ok FROM cluster_check() WHERE check_name = 'probe'";

sub make_leader
{
	my ($name) = @_;

	$c->wait_ready(0);
	$c->sql($c->leader(0), "SELECT cluster_switchover('$name')") if $c->leader(0) ne $name;
	$c->wait_ready(0);
	$c->poll($name, $probe_settled) or BAIL_OUT("the probe of $name does not run");
	return;
}

# The writer gets on with the other member, and what is done is undone.
sub gives_way
{
	my ($what, $name, $break, $mend) = @_;
	my $other = $name eq $first ? $second : $first;

	make_leader($name);
	$writer = $c->writer(0);
	my $pinned = PgCluster::Writer->start(
		program => "$c->{bindir}/psql",
		conninfo => $c->conninfo($name),
		record => "$c->{dir}/pinned-$what",
		patient => 1,
		table => $writer->{table});
	PgCluster::wait_until(sub { $writer->acknowledged > 20 && $pinned->acknowledged > 5 })
	  or BAIL_OUT('the writers do not write');

	my $start = time();
	$break->();
	is($c->new_leader(0, $name), $other, "$what: another member leads");
	my $took_over = time();
	my $port = $c->node($other)->{port};
	ok(PgCluster::wait_until(
			sub { my @rows = $writer->acknowledged; $rows[-1]{port} == $port && $rows[-1]{at} > $took_over }),
		"$what: the writer goes on");
	$mend->();
	$c->wait_streaming($name);
	pass("$what: the old leader streams when it is well again");

	my @pinned = $pinned->stop;
	my @rows = $writer->stop;
	is(scalar(grep { $_->{at} > $took_over && $_->{port} != $port } @rows, @pinned), 0,
		"$what: it acknowledged nothing once another one led");
	my $gap = PgCluster::Writer::longest_gap($start, @rows);
	cmp_ok($gap, '<', 30, sprintf('%s: the writer waited %.2f s', $what, $gap));
	return;
}

my $postmaster;
gives_way('postmaster stopped', $second,
	sub { kill 'STOP', $postmaster = $c->postmaster_pid($second) },
	sub { kill 'CONT', $postmaster });

# All but the agent and pgcluster_node.
{
	my @stopped;
	gives_way('all but the agent stopped', $second,
		sub {
			my $agent = $c->agent_pid($second);
			@stopped = grep { $_ != $agent } PgCluster::process_tree($c->postmaster_pid($second));
			kill 'STOP', @stopped;
		},
		sub { kill 'CONT', @stopped });
}

SKIP:
{
	skip 'this machine does not let users mount file systems', 7 unless $mounts;
	my $filler = "$disk/filler";
	my $fill = sub { system("dd if=/dev/zero of=$filler bs=64k 2>/dev/null; dd if=/dev/zero bs=512 >>$filler 2>/dev/null") };

	gives_way('disk full', $first, $fill, sub { unlink $filler });

	# Nobody else is there.
	make_leader($first);
	$c->stop_node($second);
	$fill->();
	ok($c->poll($first, "SELECT EXISTS (SELECT FROM cluster_events() WHERE decision = 'unwell' AND at > now() - interval '1 minute')"),
		'a full disk is noticed');
	is($c->sql($first, 'SELECT held AND NOT fenced FROM cluster_lease()'), 't', 'who cannot be replaced goes on');
	unlink $filler;
	$c->start_node($second);
}

$c->stop;
system('umount', '-l', $disk) if $mounts;
done_testing();
