package PgCluster::Proxy;

# A process that passes a port's connections on to another port, where each
# answer can be made to take its time.

use strict;
use warnings;

use Carp;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(time);

# Options: port to listen on, address of both ends, and before: words that the
# command line of the process begins with.
sub start
{
	my ($class, $cluster, $target, %options) = @_;
	my $self = bless {
		%options,
		cluster => $cluster,
		target => $target,
		parent => $$
	}, $class;

	pipe(my $ready, my $writer) or croak "could not make a pipe: $!";
	$self->{pid} = fork() // croak "could not fork: $!";
	if (!$self->{pid})
	{
		chdir $cluster->{dir};
		open(STDOUT, '>&', $writer) or POSIX::_exit(126);
		exec(@{ $self->{before} }, $^X, (map { "-I$_" } grep { !ref } @INC), '-MPgCluster::Proxy',
			'-e', 'PgCluster::Proxy::serve(@ARGV)', $self->{address}, $self->{port}, $target, $self->{parent})
		  or POSIX::_exit(127);
	}
	close $writer;
	readline($ready) // croak "could not listen on port $self->{port}";
	return $self;
}

# The process itself.
sub serve
{
	my ($address, $port, $target, $parent) = @_;
	my $delay = 0;
	my (%peer, %due, @late);
	my $listener = IO::Socket::INET->new(
		LocalAddr => $address,
		LocalPort => $port,
		Listen => 64,
		ReuseAddr => 1) or die "could not listen: $!\n";
	my $select = IO::Select->new($listener);

	$SIG{PIPE} = 'IGNORE';
	$SIG{USR1} = sub { $delay = 3; };
	$SIG{USR2} = sub { $delay = 0; };
	print "ready\n";
	close STDOUT;
	my $drop = sub {
		my ($one) = @_;
		my $other = delete $peer{$one} or return;

		delete $peer{$other};
		delete @due{ $one, $other };
		$select->remove($one, $other);
		close $_ foreach $one, $other;
	};
	while (getppid() == $parent)
	{
		while (@late && $late[0][0] <= time())
		{
			my (undef, $to, $data) = @{ shift @late };
			$drop->($to) if $peer{$to} && !defined syswrite($to, $data);
		}
		my $left = @late ? $late[0][0] - time() : 1;
		foreach my $from ($select->can_read($left > 0 ? $left : 0))
		{
			if ($from == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $target) or next;
				@peer{ $client, $server } = ($server, $client);
				$select->add($client, $server);
				next;
			}
			next unless $peer{$from};
			if (sysread($from, my $data, 65536))
			{
				# Only the way back to who asked is slow.
				my $due = time() + ($from->peerport == $target ? $delay : 0);
				$due = $due{$from} if $due < ($due{$from} // 0);
				$due{$from} = $due;
				push @late, [ $due, $peer{$from}, $data ];
			}
			else
			{
				$drop->($from);
			}
		}
		@late = sort { $a->[0] <=> $b->[0] } @late;
	}
	return;
}

# From now on answers take 3 seconds; or no time again.
sub slow
{
	my ($self, $slow) = @_;

	kill $slow ? 'USR1' : 'USR2', $self->{pid};
	return;
}

sub stop
{
	my ($self) = @_;

	return unless $self->{pid} && $self->{parent} == $$;
	kill 'KILL', $self->{pid};
	waitpid($self->{pid}, 0);
	delete $self->{pid};
	return;
}

sub DESTROY { local $?; $_[0]->stop; return; }

1;
