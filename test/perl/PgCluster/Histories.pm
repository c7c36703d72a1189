package PgCluster::Histories;

# Makes histories for PgCluster::History: clients run random transactions of
# appends and reads over several shards, a local and a reference table, while
# servers and connections are killed.
#
#	my $h = PgCluster::Histories->new($cluster, seed => 7);
#	$h->run(sub { my ($n) = @_; ... });	# history n is under way: kill something
#	print $h->check;					# what is wrong, one line each
#
# A history has keys of its own: four rows of a distributed table, one of a
# local and one of a reference table. Lists are made and read for so many
# histories at once: what is known of those before is forgotten then.

use strict;
use warnings;

use Carp;
use IO::Select;
use IPC::Open2;
use POSIX ();
use Time::HiRes qw(sleep time);

use PgCluster;
use PgCluster::History;

# What takes turns: [isolation level, read_consistency, options of the checker]
my @modes = (
	[ 'READ COMMITTED', 'shard', {} ],
	[ 'READ COMMITTED', 'atomic', { statements => 1 } ],
	[ 'REPEATABLE READ', 'shard', {} ],
	[ 'REPEATABLE READ', 'atomic', { statements => 1, single => 1 } ],
	[ 'REPEATABLE READ', 'atomic', { statements => 1, single => 1 } ]);
my $KEYS = 4;
my $BATCH = 500;

# Options: seed, clients, transactions (of each client in a history), node (to
# connect to).
sub new
{
	my ($class, $cluster, %options) = @_;
	my $self = bless {
		c => $cluster, seed => 1, clients => 4, transactions => 4, node => 'c',
		histories => [], before => 0, wrong => [], count => {}, errors => {}, %options }, $class;

	$cluster->sql($self->{node}, <<"END");
CREATE TABLE list (k int PRIMARY KEY, h int, v int[] NOT NULL DEFAULT '{}');
SELECT create_distributed_table('list', 'k');
CREATE INDEX ON list (h);
CREATE TABLE local_list (k int PRIMARY KEY, v int[] NOT NULL DEFAULT '{}');
CREATE TABLE ref_list (k int PRIMARY KEY, v int[] NOT NULL DEFAULT '{}');
SELECT create_reference_table('ref_list');
END
	$self->start_client($_) foreach 1 .. $self->{clients};
	return $self;
}

#-----------------------------------------------------------------------
# Clients: processes that are told a number and answer with what they did
#-----------------------------------------------------------------------

sub start_client
{
	my ($self, $n) = @_;
	my $client = { n => $n, buffer => '' };

	pipe(my $their_in, $client->{in}) or croak "no pipe: $!";
	pipe($client->{out}, my $their_out) or croak "no pipe: $!";
	$client->{pid} = fork() // croak "no process: $!";
	if ($client->{pid} == 0)
	{
		close $_ foreach $client->{in}, $client->{out}, map { ($_->{in}, $_->{out}) } @{ $self->{running} // [] };
		$their_out->autoflush(1);
		local $SIG{TERM} = 'DEFAULT';
		local $SIG{PIPE} = 'IGNORE';
		eval {
			while (my $h = <$their_in>) { print $their_out $self->client_history($n, $h + 0), "done\n"; }
			1;
		} or print STDERR "client $n: $@";
		close $self->{psql_in} if $self->{psql_in};
		POSIX::_exit(0);
	}
	close $their_in;
	close $their_out;
	$client->{in}->autoflush(1);
	push @{ $self->{running} }, $client;
	return;
}

sub connect
{
	my ($self) = @_;

	$self->disconnect;
	$self->{psql} = open2($self->{psql_out}, $self->{psql_in}, 'sh', '-c', 'exec "$@" 2>&1', 'sh',
		"$self->{c}{bindir}/psql", '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $self->{conninfo} // $self->{c}->conninfo($self->{node}));
	return;
}

sub disconnect
{
	my ($self) = @_;

	return unless $self->{psql};
	close $self->{psql_in};
	close $self->{psql_out};
	waitpid delete $self->{psql}, 0;
	return;
}

# Sends a text to psql and gives back what it says, up to a mark; the second
# value tells whether the mark was reached.
sub ask
{
	my ($self, $text) = @_;
	my $buffer = '';

	$self->connect unless $self->{psql};
	print { $self->{psql_in} } "$text\n\\echo end-of-it\n";
	$self->{psql_in}->flush;
	my $select = IO::Select->new($self->{psql_out});
	while ($buffer !~ /^end-of-it$/m)
	{
		last unless $select->can_read(120) && sysread($self->{psql_out}, $buffer, 65536, length $buffer);
	}
	my $whole = $buffer =~ s/^end-of-it\n//m;
	$self->disconnect unless $whole;
	return ($buffer, $whole);
}

# One client's part of history h, as lines: "t id status", "a key element",
# "r key statement elements".
sub client_history
{
	my ($self, $n, $h) = @_;
	my ($level, $consistency) = @{ $modes[ $h % @modes ] };
	my $lines = '';

	srand($self->{seed} * 1_000_003 + $h * 101 + $n);
	foreach my $i (1 .. $self->{transactions})
	{
		my $number = ($n * $self->{transactions} + $i) * 16;
		my @ops = make_ops($h, $number);
		my $sql = "SET pgcluster.read_consistency = $consistency;\nBEGIN ISOLATION LEVEL $level;\n"
		  . join('', map { "\\echo op-$_\n$ops[$_]{sql};\n" } 0 .. $#ops);
		my $last = int(rand 12) == 0 ? 'ROLLBACK' : 'COMMIT';
		my ($answer, $whole) = $self->ask("$sql\\echo ending\n$last;");
		my $status = outcome($answer, $whole, $last);

		my ($code) = $answer =~ /(?:ERROR|FATAL):  (\w{5}):/;
		$lines .= "t $h.$n.$i $status " . ($code // '') . "\n";
		foreach my $op (0 .. $#ops)
		{
			$lines .= "a $_ $ops[$op]{element}\n" foreach @{ $ops[$op]{append} // [] };
			next unless $ops[$op]{read};
			my ($rows) = $answer =~ /^op-$op\n(.*?)(?=^op-|^ending|\z)/ms or next;
			$lines .= "r $1 $op $2\n" while $rows =~ /^([dlr]\d+)\|\{([\d,]*)\}$/mg;
		}
	}
	return $lines;
}

# Was it committed?  What was lost with its connection may have been, if it
# came as far as the COMMIT.
sub outcome
{
	my ($answer, $whole, $last) = @_;

	return 'unknown' if $answer =~ /^(ERROR|FATAL):  08007/m;
	return 'fail' if $answer =~ /^(psql:[^\n]*: )?ERROR:  /m || $last eq 'ROLLBACK';
	return $whole ? 'ok' : $answer =~ /^ending$/m ? 'unknown' : 'fail';
}

# The operations of one transaction: sql, and what they append or read.
sub make_ops
{
	my ($h, $number) = @_;
	my @keys = map { $h * $KEYS + $_ } 0 .. $KEYS - 1;
	my $all = "SELECT 'd' || k, v FROM list WHERE h = $h UNION ALL SELECT 'l' || k, v FROM local_list WHERE k = $h UNION ALL SELECT 'r' || k, v FROM ref_list WHERE k = $h";
	my @ops;

	foreach my $i (1 .. 2 + int rand 4)
	{
		my $what = int rand 20;
		my $key = $keys[ int rand @keys ];
		my $element = $number + $i;
		if ($what < 8) { push @ops, { sql => "UPDATE list SET v = v || $element WHERE k = $key", append => ["d$key"], element => $element }; }
		elsif ($what < 9) { push @ops, { sql => "UPDATE list SET v = v || $element WHERE h = $h", append => [ map { "d$_" } @keys ], element => $element }; }
		elsif ($what < 10) { push @ops, { sql => "UPDATE local_list SET v = v || $element WHERE k = $h", append => ["l$h"], element => $element }; }
		elsif ($what < 11) { push @ops, { sql => "UPDATE ref_list SET v = v || $element WHERE k = $h", append => ["r$h"], element => $element }; }
		elsif ($what < 15) { push @ops, { sql => "SELECT 'd' || k, v FROM list WHERE k = $key", read => 1 }; }
		elsif ($what < 17) { push @ops, { sql => "SELECT 'd' || k, v FROM list WHERE h = $h", read => 1 }; }
		else { push @ops, { sql => $all, read => 1 }; }
	}
	# In one order most do not wait for each other in a circle; some may.
	return @ops if int(rand 20) == 0;
	my @order = sort { $ops[$a]{append}[0] cmp $ops[$b]{append}[0] } grep { $ops[$_]{append} } 0 .. $#ops;
	my @sorted = @ops[@order];
	return map { $_->{append} ? shift @sorted : $_ } @ops;
}

#-----------------------------------------------------------------------
# Histories
#-----------------------------------------------------------------------

# How many there were, and how many of them were not checked yet.
sub number { my ($self) = @_; return $self->{before} + @{ $self->{histories} }; }
sub unchecked { my ($self) = @_; return scalar @{ $self->{histories} }; }

# What was found so far, and lists for the histories to come.
sub next_batch
{
	my ($self) = @_;
	my ($first, $last) = ($self->number, $self->number + $BATCH - 1);

	$self->check;
	$self->try_often(<<"END");
INSERT INTO list SELECT g, g / $KEYS, '{}' FROM generate_series($first * $KEYS, $last * $KEYS + $KEYS - 1) g ON CONFLICT DO NOTHING;
INSERT INTO local_list SELECT g FROM generate_series($first, $last) g ON CONFLICT DO NOTHING;
INSERT INTO ref_list SELECT g, '{}' FROM generate_series($first, $last) g ON CONFLICT DO NOTHING;
END
	return;
}

# What must succeed, when a node may just be coming back.
sub try_often
{
	my ($self, $sql) = @_;
	my ($status, $out, $err);

	PgCluster::wait_until(sub { ($status, $out, $err) = $self->{c}->try_sql($self->{node}, $sql); return $status == 0; })
	  or croak "the lists cannot be made or read: $err";
	return $out;
}

# One history: all clients do their part of it, and "during" is called with its
# number while they do.
sub run
{
	my ($self, $during) = @_;
	my $h = $self->number;
	my @transactions;

	$self->next_batch if $h % $BATCH == 0;
	print { $_->{in} } "$h\n" foreach @{ $self->{running} };
	$during->($h) if $during;
	foreach my $client (@{ $self->{running} })
	{
		my $out = $client->{out};
		while (defined(my $line = <$out>))
		{
			last if $line eq "done\n";
			my ($what, @rest) = split ' ', $line;
			if ($what eq 't') 
			{
				push @transactions, { id => $rest[0], status => $rest[1], ops => [] };
				$self->{errors}{ $rest[2] }++ if $rest[2];
			}
			elsif ($what eq 'a') { push @{ $transactions[-1]{ops} }, [ append => @rest ]; }
			else { push @{ $transactions[-1]{ops} }, [ read => $rest[0], [ split /,/, $rest[2] // '' ], $rest[1] ]; }
		}
	}
	push @{ $self->{histories} }, \@transactions;
	return;
}

# Faults, for what happens while a history is under way: sessions of a node are
# ended, or one is killed and takes its server through a restart.
sub end_sessions
{
	my ($self, $node) = @_;
	$self->{c}->try_sql($node, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < 0.5});
	return;
}

sub kill_session
{
	my ($self, $node) = @_;
	my ($status, $pid) = $self->{c}->try_sql($node, q{SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1});
	kill 'KILL', $pid if $status == 0 && $pid;
	return;
}

sub kill_node
{
	my ($self, $node) = @_;
	$self->{c}->kill_all($node);
	$self->{c}->start_node($node);
	return;
}

# Reads what became of the histories since the last time, and checks them.
# Returns all that was wrong so far, lines with the number of their history.
# What clients were told is counted in {count}, errors in {errors}.
sub check
{
	my ($self) = @_;
	my $first = $self->{before};
	my $h = 0;
	my %final;

	return @{ $self->{wrong} } unless @{ $self->{histories} };
	my $rows = $self->try_often(<<"END");
SET pgcluster.read_consistency = atomic;
SELECT 'd' || k, h, v FROM list WHERE h >= $first
UNION ALL SELECT 'l' || k, k, v FROM local_list WHERE k >= $first
UNION ALL SELECT 'r' || k, k, v FROM ref_list WHERE k >= $first
END
	$final{$2}{$1} = [ split /,/, $3 ] while $rows =~ /^(\w+)\|(\d+)\|\{([\d,]*)\}$/mg;

	foreach my $history (@{ $self->{histories} })
	{
		my $n = $first + $h++;
		my ($level, $consistency, $options) = @{ $modes[ $n % @modes ] };
		foreach my $t (@$history)
		{
			$self->{count}{ $t->{status} }++;
			$self->{count}{operations} += @{ $t->{ops} };
		}
		push @{ $self->{wrong} }, map { "history $n ($level, $consistency): $_" }
		  PgCluster::History::check($history, $final{$n}, %$options);
	}
	$self->{before} += @{ $self->{histories} };
	$self->{histories} = [];
	return @{ $self->{wrong} };
}

# Ends the clients.
sub stop
{
	my ($self) = @_;

	foreach my $client (@{ $self->{running} })
	{
		close $client->{in};
		close $client->{out};
		waitpid $client->{pid}, 0;
	}
	$self->{running} = [];
	return;
}

1;
