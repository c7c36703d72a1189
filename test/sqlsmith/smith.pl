#!/usr/bin/perl
# Sends the queries of sqlsmith to a coordinator, and reads the servers' logs
# for what must not be there (TAP).  test/sqlsmith/run starts it.
#
# The tables are those of test/differential, distributed, reference and local,
# on one server; another one has the same tables, not distributed.  Each kind of
# statement that failed is run again on both.  Failures are:
#  - a server or a session that crashes, or fails an assertion;
#  - an internal error (class XX) that the plain server does not give;
#  - an error of another class that blames the statement (a name that is not
#    found, a syntax error, a type), though that server runs it: then the SQL
#    made for the shards was wrong.
# Errors that depend on the order in which rows are looked at (a division by
# zero behind a LIMIT) and refusals (0A000) are counted and shown.
#
# --show REGEX prints a statement of each kind of error that matches.
#
# sqlsmith works in slices with a seed each; a slice with the same seed sends the
# same queries.  Every third slice queries the system catalogs as well.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";

use Getopt::Long;
use PgCluster;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

my $minutes = 5;
my $seed = 1;
my $slice = 60;
GetOptions('minutes=f' => \$minutes, 'seed=i' => \$seed, 'slice=i' => \$slice, 'show=s' => \my $show) or exit 2;

my @tables = (
	[ countries => undef ], [ products => undef ],
	[ users => 'user_id' ], [ orders => 'user_id', 'users' ], [ order_items => 'user_id', 'users' ],
	[ events => 'device' ], [ accounts => 'id' ], [ measurements => 'sensor' ], [ kv => 'key' ],
	[ gaps => 'id' ], [ nothing => 'id' ], [ types => 'id' ]);

# Errors of these classes or states may come or not with the order of rows and
# the load of the machine, or are how distributed tables refuse a statement.
my $by_chance = qr/^(?:22|53|54|55|57|0A|21|23|42601 invalid range bound flags)/;

my $config = <<'END';
log_line_prefix = '%m [%p] %e '
log_min_messages = error
max_stack_depth = '2MB'
END
my $cluster = PgCluster->new(workers => 2, config => $config);
my $plain = PgCluster->new(workers => 0, config => $config);
foreach my $side ($cluster, $plain)
{
	$side->start;
	make_tables($side);
}

my %start = map { $_ => -s $cluster->node($_)->{log} } $cluster->node_names;
my $end = time() + $minutes * 60;
my $slices = 0;
my $queries = 0;
while (time() < $end)
{
	run_slice($seed + $slices, $slices % 3 != 2);
	$slices++;
}
diag("$slices slices, $queries queries, from seed $seed");
judge();
done_testing();

# --- the tables ---------------------------------------------------------------

sub make_tables
{
	my ($side) = @_;
	my $dir = "$FindBin::Bin/../differential";

	$side->sql('c', "CREATE ROLE smith LOGIN; ALTER ROLE smith SET statement_timeout = '3s'");
	$side->sql('c', "\\i $dir/tables.sql");
	distribute($_) foreach $side == $cluster ? @tables : ();
	$side->sql('c', <<"END");
\\i $dir/data.sql
\\i $dir/views.sql
GRANT ALL ON ALL TABLES IN SCHEMA public TO smith;
ANALYZE;
END
	return;
}

sub distribute
{
	my ($table) = @_;
	my ($name, $column, $with) = @$table;
	my $how = $with ? "colocate_with => '$with'" : 'shard_count => 4';

	$cluster->sql('c', defined $column
		? "SELECT create_distributed_table('$name', '$column', $how)"
		: "SELECT create_reference_table('$name')");
	return;
}

# --- sqlsmith -----------------------------------------------------------------

# One run of sqlsmith; it ends by itself when the server crashed and is started
# again with the next slice.
sub run_slice
{
	my ($number, $own_tables_only) = @_;
	my $log = "$cluster->{dir}/sqlsmith.$number.log";
	my $target = $cluster->conninfo('c') =~ s/user=\S+/user=smith/r =~ s/ connect_timeout=\S+//r;
	my $length = time() + $slice > $end ? $end - time() : $slice;

	PgCluster::wait_until(sub { $cluster->accepts('c') }) or die "the coordinator does not come back\n";
	my $pid = $cluster->spawn($log, 'timeout', '--kill-after=5', sprintf('%.1f', $length < 1 ? 1 : $length),
		'sqlsmith', "--target=$target", "--seed=$number", '--verbose', $own_tables_only ? '--exclude-catalog' : ());
	waitpid $pid, 0;
	my $text = PgCluster::read_file($log);

	# Its progress: a character a query, and counts now and then.
	my ($last) = reverse $text =~ /queries: (\d+)/g;
	$queries += $last // 0;
	diag("seed $number: sqlsmith found no server:\n" . PgCluster::tail($log, 3)) if $text =~ /could not connect|Connection refused/;
	return;
}

# --- the servers' logs --------------------------------------------------------

# The entries of a node's log since the slices began: {state, level, message,
# statement}.
sub entries
{
	my ($name) = @_;
	my $node = $cluster->node($name);
	my @entries;

	open(my $fh, '<', $node->{log}) or die "$node->{log}: $!\n";
	seek $fh, $start{$name}, 0;
	my $field;
	while (my $line = <$fh>)
	{
		if ($line =~ /^\d{4}-\S+ \S+ \S+ \[\d+\] (\w{5}) (\w+):  (.*\n)/)
		{
			my ($state, $level, $text) = ($1, $2, $3);
			if ($level =~ /^(ERROR|FATAL|PANIC|LOG)$/)
			{
				push @entries, { node => $name, state => $state, level => $level, message => $text, statement => '' };
				$field = 'message';
			}
			else
			{
				$field = lc $level;
				$entries[-1]{$field} .= $text if @entries;
			}
		}
		elsif ($line =~ /^\t/) { $entries[-1]{ $field // 'message' } .= substr $line, 1 if @entries; }
		else
		{
			# Not of the server's logging: a failed assertion, a library's words.
			push @entries, { node => $name, state => '', level => 'TEXT', message => $line, statement => '' };
			$field = 'message';
		}
	}
	chomp(@$_{qw(message statement)}) foreach @entries;
	return @entries;
}

# What is the same error with other values.
sub kind
{
	my ($entry) = @_;
	my $message = $entry->{message} =~ s/\n.*//sr;

	$message .= ': ' . $entry->{detail} =~ s/\n.*//sr if $message =~ /^this statement on distributed tables/;
	$message =~ s/(Function|Column|Tables?) \S+ /$1 ... /;
	$message =~ s/, not \S+$|\band \S+ (?=are not colocated)/.../;
	$message =~ s/"[^"]*"/"..."/g;
	$message =~ s/\b\d[\d.]*\b/0/g;
	return "$entry->{state} $message";
}

# SQLSTATE of a statement on one side, '' if it succeeds.  A sample is made the
# whole, since another one finds other rows.
sub state_of
{
	my ($side, $statement) = @_;

	$statement =~ s/(tablesample (?:system|bernoulli)) \([\d.]+\)/$1 (100)/g;
	my ($status, $out, $err) = $side->try_sql('c',
		"\\set VERBOSITY sqlstate\nSET ROLE smith; SET statement_timeout = '10s'; BEGIN;\n$statement;\nROLLBACK;\n");

	return '' if $status == 0;
	return $err =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5})/ ? $1 : 'lost';
}

# Whether a statement that failed does so again here, and not like this on the
# plain server.
sub fails_only_here
{
	my ($entry) = @_;

	$entry->{there} = state_of($plain, $entry->{statement});
	return $entry->{there} ne $entry->{state} && state_of($cluster, $entry->{statement}) eq $entry->{state};
}

sub judge
{
	my (%kinds, @crashes);
	my @all = map { entries($_) } $cluster->node_names;

	foreach my $entry (@all)
	{
		push @crashes, "$entry->{node}: $entry->{message}" . ($entry->{detail} // '')
		  if $entry->{level} eq 'PANIC' || $entry->{message} =~ /^TRAP: |was terminated by signal|unrecognized node type/;
		push @{ $kinds{ kind($entry) } }, $entry if $entry->{level} eq 'ERROR' && $entry->{node} eq 'c' && $entry->{statement} ne '';
	}
	cmp_ok($queries, '>', 0, 'sqlsmith sent queries');
	is(join("\n", @crashes), '', 'no crash, failed assertion or unknown node');

	my (@wrong, @shown);
	foreach my $kind (sort keys %kinds)
	{
		my @entries = @{ $kinds{$kind} };
		my @sample = @entries > 3 ? @entries[ 0, $#entries / 2, $#entries ] : @entries;
		my ($different) = grep { fails_only_here($_) } @sample;

		push @shown, sprintf '%6d %s %s', scalar @entries, $different ? "only here (there $different->{there}):" : 'not only here:', $kind;
		diag("$kind\n$entries[0]{message}\n$entries[0]{statement};") if defined $show && $kind =~ /$show/;
		push @wrong, "$kind\n$different->{message}\n" . ($different->{context} // '') . "$different->{statement};\n" if $different && $kind !~ $by_chance;
	}
	diag(join "\n", 'errors by kind:', @shown);
	is(join("\n", @wrong), '', 'no error that only distributed tables give');
	return;
}
