package PgCluster::Network;

# A network of its own for a test: hosts with an address each, on one switch,
# that can be cut off from each other in every way.
#
#	use PgCluster::Network;
#	BEGIN { PgCluster::Network::enter() }	# before any output
#	...
#	my $c = PgCluster->new(groups => { 0 => 3 }, etcd => 3, network => 1);
#	$c->{network}->cut('c1', 'etcd1');		# nothing of c1 arrives at etcd1
#	$c->{network}->isolate('c1');			# c1 reaches nobody
#	$c->{network}->heal('c1');
#
# Needs no rights where the kernel lets users make namespaces: the program
# starts itself anew in namespaces of its own, in which it may set up networks
# (and mount file systems), still under the user's own id.  Nothing in there
# reaches the network outside, and all of it is gone when the program ends.
#
# The program itself stays outside of the hosts, as their client; its name is
# "client".

use strict;
use warnings;

use Carp;
use POSIX ();

# Addresses that are set aside for documentation, so nobody's.
my $net = '192.0.2';
my $client = 254;
my $marker = 'PGCLUSTER_TEST_NETWORK';
my $inside;
my @unshare = ('unshare', '--user', '--map-current-user', '--keep-caps', '--net', '--mount');

# Why this machine has no namespaces for us; nothing if it has.
sub obstacle
{
	return if $inside;
	foreach my $program ('unshare', 'nsenter', 'setpriv', 'ip')
	{
		return "there is no program $program"
		  unless grep { -x "$_/$program" } split(/:/, $ENV{PATH}), '/sbin', '/usr/sbin';
	}
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
	my $output = `@unshare sh -c 'ip link set lo up && ip link add br0 type bridge && ip link add v0 type veth peer name v1' 2>&1`;
	return if $? == 0;
	chomp $output;
	return "this machine does not let users make networks: $output";
}

# Goes on in namespaces of its own; true when there, false where that is
# impossible.
sub enter
{
	$ENV{PATH} .= ':/usr/sbin:/sbin';
	if ($ENV{$marker})
	{
		# For this program, not for those that it starts.
		delete $ENV{$marker};
		$inside = 1;
		system('ip', 'link', 'set', 'lo', 'up') == 0 or croak 'could not set up the loopback device';
		return 1;
	}
	return 0 if obstacle();
	$ENV{$marker} = 1;
	exec(@unshare, $^X, (map { "-I$_" } grep { !ref } @INC), $0, @ARGV);
}

sub new
{
	my ($class) = @_;
	my $self = bless { hosts => { client => { address => "$net.$client", device => 'br0' } } }, $class;

	croak 'PgCluster::Network::enter() was not called' unless $inside;
	run('ip', 'link', 'add', 'br0', 'type', 'bridge');
	run('ip', 'address', 'add', "$net.$client/24", 'dev', 'br0');
	run('ip', 'link', 'set', 'br0', 'up');
	return $self;
}

sub run
{
	my (@command) = @_;

	system(@command) == 0 or croak "@command failed";
	return;
}

# Adds a host; returns its address.
sub add_host
{
	my ($self, $name) = @_;
	my $number = keys %{ $self->{hosts} };
	my $host = $self->{hosts}{$name} = {
		device => 'eth0',
		address => "$net.$number",
		mac => sprintf('02:00:00:00:00:%02x', $number),
		port => "port$number"
	};

	# A namespace lives as long as a process is in it.
	pipe(my $ready, my $writer) or croak "could not make a pipe: $!";
	$host->{holder} = fork() // croak "could not fork: $!";
	if (!$host->{holder})
	{
		close $ready;
		open(STDOUT, '>&', $writer) or POSIX::_exit(126);
		exec('setpriv', '--pdeathsig', 'KILL', 'unshare', '--net', 'sh', '-c', 'echo; exec sleep 100000 >&2')
		  or POSIX::_exit(127);
	}
	close $writer;
	readline($ready) // croak 'could not make a network namespace';
	close $ready;

	run('ip', 'link', 'add', $host->{port}, 'type', 'veth', 'peer', 'name', 'eth0', 'address', $host->{mac},
		'netns', $host->{holder});
	run('ip', 'link', 'set', $host->{port}, 'master', 'br0', 'up');
	run($self->inside($name), 'sh', '-c',
		"ip link set lo up && ip address add $host->{address}/24 dev eth0 && ip link set eth0 up");
	return $host->{address};
}

# The words to put before a command to have it run on a host.
sub inside
{
	my ($self, $name) = @_;

	my $holder = $self->{hosts}{$name}{holder};

	return $holder ? ('nsenter', "--net=/proc/$holder/ns/net", '--') : ();
}

# The same for what is to have no more rights than the user.
sub command
{
	my ($self, $name) = @_;

	return ($self->inside($name), 'setpriv', '--ambient-caps=-all', '--inh-caps=-all', '--bounding-set=-all', '--');
}

#-----------------------------------------------------------------------
# Faults
#-----------------------------------------------------------------------

# What "from" sends to these hosts gets lost on the way: it goes to an address
# of the switch that nobody has.
sub cut
{
	my ($self, $from, @to) = @_;

	foreach my $to (@to)
	{
		run($self->inside($from), 'ip', 'neighbour', 'replace', $self->{hosts}{$to}{address},
			'lladdr', '02:00:00:00:00:ff', 'nud', 'permanent', 'dev', $self->{hosts}{$from}{device});
		$self->{hosts}{$from}{cut}{$to} = 1;
	}
	return;
}

# Whatever the host sends to these others is refused at once.
sub refuse
{
	my ($self, $from, @to) = @_;

	foreach my $to (@to)
	{
		run($self->inside($from), 'ip', 'route', 'replace', 'unreachable', $self->{hosts}{$to}{address});
		$self->{hosts}{$from}{refused}{$to} = 1;
	}
	return;
}

# No packet passes between the host and these others.
sub cut_both_ways
{
	my ($self, $name, @others) = @_;

	$self->cut($name, @others);
	$self->cut($_, $name) foreach @others;
	return;
}

# All hosts but these.
sub others
{
	my ($self, @names) = @_;
	my %left_out = map { $_ => 1 } @names;

	return grep { !$left_out{$_} } sort keys %{ $self->{hosts} };
}

# The host's cable is pulled, at the switch's end, so that the host does not
# notice.
sub isolate
{
	my ($self, $name) = @_;

	run('ip', 'link', 'set', $self->{hosts}{$name}{port}, 'nomaster');
	return;
}

# All that was done to the host, or to what others send to it, is undone.
sub heal
{
	my ($self, $name) = @_;
	my $hosts = $self->{hosts};

	run('ip', 'link', 'set', $hosts->{$name}{port}, 'master', 'br0');
	foreach my $from (keys %$hosts)
	{
		foreach my $to (grep { $from eq $name || $_ eq $name } keys %{ $hosts->{$from}{cut} // {} })
		{
			delete $hosts->{$from}{cut}{$to};
			run($self->inside($from), 'ip', 'neighbour', 'delete', $hosts->{$to}{address},
				'dev', $hosts->{$from}{device});
		}
	}
	foreach my $to (keys %{ delete $hosts->{$name}{refused} // {} })
	{
		run($self->inside($name), 'ip', 'route', 'delete', 'unreachable', $hosts->{$to}{address});
	}
	return;
}

# Whatever runs in the hosts must have ended.
sub remove
{
	my ($self) = @_;

	foreach my $host (grep { $_->{holder} } values %{ $self->{hosts} })
	{
		kill 'KILL', $host->{holder};
		waitpid($host->{holder}, 0);
	}
	$self->{hosts} = {};
	system('ip', 'link', 'delete', 'br0');
	return;
}

1;
