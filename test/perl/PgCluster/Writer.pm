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
# rate (rows a second), table (must exist, with columns id and port),
# patient (true: keep a connection that works although a row was refused),
# patience (seconds after which an answer is given up; for ever by default),
# hosts (of the connection string: host and port of each; the one that failed
# last is tried last), and epochs (true: note under which epoch a row was
# written).
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

	local $SIG{TERM} = sub { $self->{stop} = 1; };
	local $SIG{PIPE} = 'IGNORE';
	open(my $record, '>>', $self->{record}) or die;
	$record->autoflush(1);
	while (!$self->{stop} && getppid() == $self->{parent})
	{
		$self->connect unless $self->{psql};
		$id++;
		my $sent = time();
		my ($port, $epoch, $alive) = $self->write_row($id);
		if (defined $port)
		{
			printf $record "%.6f %d %d %d %.6f\n", time(), $id, $port, $epoch, $sent;
			$self->{port} = $port;
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
	my $conninfo = $self->{conninfo};

	if ($self->{hosts})
	{
		my @hosts = @{ $self->{hosts} };
		my $failed = $self->{port} // 0;
		@hosts = ((grep { $_->[1] != $failed } @hosts), (grep { $_->[1] == $failed } @hosts));
		$conninfo .= ' host=' . join(',', map { $_->[0] } @hosts) . ' port=' . join(',', map { $_->[1] } @hosts);
	}
	$self->{buffer} = '';
	open(my $errors, '>>', "$self->{record}.err") or die;
	$self->{psql} = open3($self->{in}, $self->{out}, '>&' . fileno($errors),
		$self->{program}, '-XAtq', '-d', $conninfo);
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

# The port of the member that acknowledged the row, and its epoch, undef if
# nobody did; and whether the connection still works.
sub write_row
{
	my ($self, $id) = @_;
	my $epoch = $self->{epochs} ? '(SELECT epoch FROM cluster_lease())' : '0';
	my ($port, $under);

	# psql shows the row only after the commit was acknowledged.
	print { $self->{in} } "INSERT INTO $self->{table} (id, port) "
	  . "VALUES ($id, current_setting('port')::int) RETURNING 'ack', id, port, $epoch;\n"
	  . "\\echo end\n"
	  or return (undef, undef, 0);
	while (defined(my $line = $self->read_line))
	{
		($port, $under) = ($1, $2) if $line =~ /^ack\|$id\|(\d+)\|(\d*)$/;
		return ($port, $under || 0, 1) if $line =~ /^end$/;
	}
	return (undef, undef, 0);
}

# The next line of psql; undef when it ended, took too long, or is not to be
# waited for any more.
sub read_line
{
	my ($self) = @_;
	my $select = IO::Select->new($self->{out});
	my $until = $self->{patience} ? time() + $self->{patience} : undef;

	my $end;

	while (($end = index($self->{buffer}, "\n")) < 0)
	{
		return if $self->{stop} || getppid() != $self->{parent} || defined $until && time() > $until;
		next unless $select->can_read(0.2);
		sysread($self->{out}, $self->{buffer}, 65536, length $self->{buffer}) or return;
	}
	my $line = substr($self->{buffer}, 0, $end + 1, '');
	chomp $line;
	return $line;
}

# Ends the writer and gives back what it recorded: a list of
# {at, id, port, epoch, sent}; the times are seconds.
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
	while (my $line = <$record>)
	{
		push @rows, { at => $1, id => $2, port => $3, epoch => $4, sent => $5 }
		  if $line =~ /^(\S+) (\d+) (\d+) (\d+) (\S+)\n/;
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

# For how long a leader had rows acknowledged although a later one had too, in
# seconds: the longest time from the first row of an epoch to the last row that
# another member acknowledged under an earlier epoch.  0: never.
sub overlap
{
	my (@rows) = @_;
	my ($overlap, %first, %last) = (0);

	foreach my $row (grep { $_->{epoch} } @rows)
	{
		my $leader = "$row->{epoch} $row->{port}";
		$first{$leader} = $row->{at} if $row->{at} < ($first{$leader} // 9e99);
		$last{$leader} = $row->{at} if $row->{at} > ($last{$leader} // 0);
	}
	foreach my $earlier (keys %last)
	{
		foreach my $later (keys %first)
		{
			my ($epoch, $port) = split / /, $earlier;
			my ($later_epoch, $other) = split / /, $later;
			next unless $later_epoch > $epoch && $port != $other;
			my $both = $last{$earlier} - $first{$later};
			$overlap = $both if $both > $overlap;
		}
	}
	return $overlap;
}

1;
