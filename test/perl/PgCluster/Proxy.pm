package PgCluster::Proxy;

# A process that passes a port's connections on to another port, so that the
# network between two programs can fail: SIGSTOP makes it swallow everything,
# SIGKILL refuse and reset.

use strict;
use warnings;

use Carp;
use IO::Select;
use IO::Socket::INET;
use POSIX ();

sub start
{
	my ($class, $cluster, $target, $port) = @_;
	my $self = bless { port => $port // PgCluster::free_port(), target => $target, parent => $$ }, $class;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		LocalPort => $self->{port},
		Listen => 64,
		ReuseAddr => 1) or croak "could not listen: $!";

	$self->{pid} = fork() // croak "could not fork: $!";
	if (!$self->{pid})
	{
		$SIG{TERM} = $SIG{INT} = 'DEFAULT';
		$SIG{PIPE} = 'IGNORE';
		chdir $cluster->{dir};
		eval { $self->pass($listener) };
		POSIX::_exit(0);
	}
	close $listener;
	return $self;
}

sub pass
{
	my ($self, $listener) = @_;
	my $select = IO::Select->new($listener);
	my %peer;

	while (getppid() == $self->{parent})
	{
		foreach my $from ($select->can_read(1))
		{
			if ($from == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{target}) or next;
				@peer{ $client, $server } = ($server, $client);
				$select->add($client, $server);
				next;
			}
			my $to = $peer{$from} or next;
			my $n = sysread($from, my $data, 65536);
			next if $n && defined syswrite($to, $data);
			delete @peer{ $from, $to };
			$select->remove($from, $to);
			close $_ foreach $from, $to;
		}
	}
	return;
}

sub signal
{
	my ($self, $signal) = @_;

	kill $signal, $self->{pid};
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

sub DESTROY { $_[0]->stop; return; }

1;
