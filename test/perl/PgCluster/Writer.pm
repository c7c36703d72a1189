package PgCluster::Writer;

# A client that writes about 100 rows a second through a multi-host
# connection string, connects again at once when something goes wrong, and
# remembers which rows were acknowledged, when, and by which member.
#
# It runs in a process of its own and drives one psql, so that it sees just
# what libpq sees.

use strict;
use warnings;

use Carp;
use IO::Handle;
use IO::Select;
use IPC::Open3;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

# Options: program (psql), conninfo, record (file for the acknowledgements),
# rate (rows a second), table (must exist, with columns id and port), and
# patient (true: keep a connection that works although a row was refused).
sub start
{
	my ($class, %options) = @_;
	my $self = bless { rate => 100, table => 'writer', %options }, $class;

	$self->{parent} = $$;
	$self->{pid} = fork() // croak "could not fork: $!";
	return $self if $self->{pid};

	$SIG{TERM} = $SIG{INT} = 'DEFAULT';
	eval { $self->work; };
	POSIX::_exit(0);
}

sub work
{
	my ($self) = @_;
	my $id = 0;
	my $next = time();
	my $stop = 0;

	local $SIG{TERM} = sub { $stop = 1; };
	local $SIG{PIPE} = 'IGNORE';
	open(my $record, '>>', $self->{record}) or die;
	$record->autoflush(1);
	while (!$stop && getppid() == $self->{parent})
	{
		$self->connect unless $self->{psql};
		$id++;
		my ($port, $alive) = $self->write_row($id);
		if (defined $port)
		{
			printf $record "%.6f %d %d\n", time(), $id, $port;
		}
		elsif (!$alive || !$self->{patient})
		{
			$self->disconnect;
			sleep(0.02);
		}
		$next += 1 / $self->{rate};
		my $now = time();
		$next = $now if $next < $now;
		sleep($next - $now) if $next > $now;
	}
	$self->disconnect;
	return;
}

sub connect
{
	my ($self) = @_;

	open(my $errors, '>>', "$self->{record}.err") or die;
	$self->{psql} = open3($self->{in}, $self->{out}, '>&' . fileno($errors),
		$self->{program}, '-XAtq', '-d', $self->{conninfo});
	$self->{in}->autoflush(1);
	return;
}

sub disconnect
{
	my ($self) = @_;

	return unless $self->{psql};
	close $self->{in};
	close $self->{out};
	kill 'TERM', $self->{psql};
	waitpid($self->{psql}, 0);
	delete $self->{psql};
	return;
}

# The port of the member that acknowledged the row, undef if nobody did; and
# whether the connection still works.
sub write_row
{
	my ($self, $id) = @_;
	my $out = $self->{out};

	# psql shows the row only after the commit was acknowledged.
	print { $self->{in} } "INSERT INTO $self->{table} (id, port) "
	  . "VALUES ($id, current_setting('port')::int) RETURNING 'ack', id, port;\n"
	  . "\\echo end\n"
	  or return (undef, 0);
	my $port;
	while (defined(my $line = <$out>))
	{
		$port = $1 if $line =~ /^ack\|$id\|(\d+)$/;
		return ($port, 1) if $line =~ /^end$/;
	}
	return (undef, 0);
}

# Ends the writer and gives back what it recorded: a list of
# {at, id, port}.
sub stop
{
	my ($self) = @_;

	if (defined $self->{pid})
	{
		kill 'TERM', $self->{pid};
		waitpid($self->{pid}, 0);
		delete $self->{pid};
	}
	return $self->acknowledged;
}

sub acknowledged
{
	my ($self) = @_;
	my @rows;

	open(my $record, '<', $self->{record}) or return @rows;
	while (<$record>)
	{
		push @rows, { at => $1, id => $2, port => $3 } if /^(\S+) (\d+) (\d+)\n/;
	}
	return @rows;
}

# The longest time between two acknowledgements after a moment (or the last
# one before it), in seconds.
sub longest_gap
{
	my ($since, @rows) = @_;
	my ($longest, $last) = (0, undef);

	foreach my $row (@rows)
	{
		if (defined $last && $row->{at} > $since)
		{
			my $gap = $row->{at} - $last;
			$longest = $gap if $gap > $longest;
		}
		$last = $row->{at};
	}
	return $longest;
}

# For how long, after a moment, two of several writers (lists of rows) had
# rows acknowledged side by side, in seconds.
sub overlap
{
	my ($since, @writers) = @_;
	my $overlap = 0;
	my @spans;

	foreach my $rows (@writers)
	{
		my @at = sort { $a <=> $b } grep { $_ > $since } map { $_->{at} } @$rows;
		push @spans, [ $at[0], $at[-1] ] if @at;
	}
	foreach my $i (0 .. $#spans)
	{
		foreach my $j (0 .. $i - 1)
		{
			my $begin = $spans[$i][0] > $spans[$j][0] ? $spans[$i][0] : $spans[$j][0];
			my $end = $spans[$i][1] < $spans[$j][1] ? $spans[$i][1] : $spans[$j][1];
			$overlap = $end - $begin if $end - $begin > $overlap;
		}
	}
	return $overlap;
}

1;
