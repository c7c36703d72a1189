package PgCluster::Session;

# A psql that stays connected, for tests in which something happens to the
# servers between two statements of a session.
#
#	my $s = PgCluster::Session->new($cluster, 'c');
#	print $s->run('BEGIN; SELECT 1');	# output and messages
#	$s->send('COMMIT');					# does not wait
#	print $s->wait;						# ... this does
#
# Messages are verbose, so that they show SQLSTATEs.

use strict;
use warnings;

use Carp;
use IPC::Open2;
use IO::Select;

sub new
{
	my ($class, $cluster, $node, %options) = @_;
	my $self = bless { n => 0, buffer => '' }, $class;

	$self->{pid} = open2(
		$self->{out}, $self->{in}, 'sh', '-c', 'exec "$@" 2>&1', 'sh',
		"$cluster->{bindir}/psql", '-XAtq', '-v', 'VERBOSITY=verbose', '-d',
		$cluster->conninfo($node, $options{db}));
	$self->{backend} = $self->run('SELECT pg_backend_pid()');
	return $self;
}

# Process id of the server's end.
sub backend { return $_[0]{backend}; }

sub send
{
	my ($self, $sql) = @_;

	$self->{n}++;
	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } "$sql;\n\\echo done-$self->{n}\n";
	$self->{in}->flush;
	return;
}

# What came since the last send, without the last newline; all that there is
# when psql ended.
sub wait
{
	my ($self) = @_;
	my $select = IO::Select->new($self->{out});
	my $end = time + $PgCluster::TIMEOUT;

	my $marker = "done-$self->{n}\n";
	my $at;

	while (($at = index($self->{buffer}, $marker)) < 0)
	{
		croak "no answer from psql, only: $self->{buffer}" unless $select->can_read($end - time);
		last unless sysread($self->{out}, $self->{buffer}, 65536, length $self->{buffer});
	}
	if ($at < 0)
	{
		# psql has ended
		$at = length $self->{buffer};
		$self->{buffer} .= $marker;
	}
	my $answer = substr($self->{buffer}, 0, $at);
	substr($self->{buffer}, 0, $at + length $marker, '');
	chomp $answer;
	return $answer;
}

sub run
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->wait;
}

sub close
{
	my ($self) = @_;

	close $self->{in};
	close $self->{out};
	waitpid $self->{pid}, 0;
	return;
}

1;
