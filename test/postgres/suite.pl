#!/usr/bin/perl
# Runs PostgreSQL's regression suite without pgcluster and with it, and compares
# what the statements gave (TAP); test/postgres/run starts it.
#
# Without --distribute nothing may differ but what the file "known" explains:
# lists of all objects of a database, in which the extension's own appear.  With
# --distribute, each statement that gave something else is counted by the kind
# of its difference (see README.md); --show REGEX prints those of kinds that
# match, for instance "other".  Then only a crash, a failed assertion or an internal error is a failure: statements
# depend on those before them, so one refusal makes many differ.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";

use Getopt::Long;
use PgCluster;
use Test::More;

GetOptions('distribute' => \my $distribute, 'show=s' => \my $show) or exit 2;
my ($suite) = @ARGV;
my $dir = PgCluster->new(workers => 0, setup => 0)->{dir};
my $bindir = PgCluster::default_bindir();
my ($libdir, $includes) = map { chomp(my $out = `'$bindir/pg_config' $_`); $out } '--pkglibdir', '--includedir-server';
my %known = read_known();

make_library();
my $plain = run_suite('plain', '--temp-instance=plain.instance');
my ($ours, @logs) = $distribute ? run_distributed() : run_loaded();
no_crash(@logs);
compare_results();
done_testing();

# --- running it ---------------------------------------------------------------

# C functions that the suite creates.
sub make_library
{
	mkdir "$dir/lib";
	my @command = (split(/ /, $ENV{CC} || 'gcc'), qw(-O1 -w -fPIC -shared), "-I$includes", '-o', "$dir/lib/regress.so", "$suite/regress.c");
	is(system(@command), 0, 'the suite\'s library is built');
	system('cp', "$libdir/autoinc.so", "$libdir/refint.so", "$dir/lib") == 0 or die "no contrib modules in $libdir\n";
	return;
}

# Returns the folder with the results.
sub run_suite
{
	my ($name, @options) = @_;
	my $out = "$dir/$name";
	my $log = "$dir/$name.log";

	PgCluster::write_file("$dir/plain.conf", "max_prepared_transactions = 100\nfsync = off\n");
	mkdir $out;
	my $pid = PgCluster::spawn(undef, $log, "$libdir/pgxs/src/test/regress/pg_regress",
		"--inputdir=$suite", "--outputdir=$out", "--bindir=$bindir", "--dlpath=$dir/lib",
		"--schedule=$suite/parallel_schedule", '--max-concurrent-tests=20', '--encoding=UTF8', '--no-locale',
		map { s/=(\S+)\.(instance|conf)$/=$dir\/$1.$2/r } '--temp-config=plain.conf', @options);
	waitpid $pid, 0;
	my $text = PgCluster::read_file($log);
	ok($text =~ /^ ?(All )?\d+ (of \d+ )?tests (passed|failed)/m, "$name: the suite ran to its end") or diag($text =~ /(.{0,2000})\z/s);
	return "$out/results";
}

sub run_loaded
{
	PgCluster::write_file("$dir/loaded.conf", "shared_preload_libraries = 'pgcluster'\nmax_prepared_transactions = 100\nfsync = off\n");
	return (run_suite('loaded', '--temp-instance=loaded.instance', '--temp-config=loaded.conf', '--load-extension=pgcluster'),
		"$dir/loaded/log/postmaster.log");
}

sub run_distributed
{
	my $cluster = PgCluster->new(workers => 2, setup => 0, config => "autovacuum = off\nmax_connections = 300\n");
	my @roles = roles();
	my @settings = ((map { "lc_$_ TO 'C'" } qw(messages monetary numeric time)), 'bytea_output TO hex', "timezone_abbreviations TO 'Default'",
		# What is prepared holds on to what CREATE TABLE waits for.
		"lock_timeout TO '5s'");

	$cluster->start;
	foreach my $node ($cluster->node_names)
	{
		$cluster->sql($node, "CREATE DATABASE regression TEMPLATE template0");
		$cluster->sql($node, 'CREATE EXTENSION pgcluster;' . join('', map { "ALTER DATABASE regression SET $_;" } @settings), db => 'regression');
		# The suite creates these where it runs, and connects as them to the nodes.
		$cluster->sql($node, join "\n", map { "CREATE ROLE $_ LOGIN;" } @roles) if $node ne 'c';
	}
	$cluster->sql('c', "SELECT cluster_add_node('127.0.0.1', $cluster->{nodes}{$_}{port})", db => 'regression') foreach qw(w1 w2);
	$cluster->sql('c', "\\i $FindBin::Bin/distribute.sql\n" . join('', map { "INSERT INTO distribute.parents VALUES ('$_');" } parents()), db => 'regression');
	my $node = $cluster->node('c');
	local $ENV{PGUSER} = 'postgres';
	my $results = run_suite('distributed', '--use-existing', "--host=$cluster->{socket_dir}", "--port=$node->{port}", '--user=postgres', '--dbname=regression');
	PgCluster::wait_until(sub { $cluster->accepts('c') }) or die "the coordinator does not come back\n";
	diag($cluster->sql('c', "SELECT format('%s tables: %s', kind, count(*)) FROM distribute.made GROUP BY kind", db => 'regression'));
	return ($results, map { $cluster->node($_)->{log} } $cluster->node_names);
}

sub roles
{
	my %roles;

	foreach my $file (glob "$suite/sql/*.sql")
	{
		$roles{$_}++ foreach PgCluster::read_file($file) =~ /^create (?:role|user|group) (regress_\w+)/gmi;
	}
	return sort keys %roles;
}

# Tables that get children cannot be distributed, which shows only then.
sub parents
{
	my %parents;

	foreach my $file (glob "$suite/sql/*.sql")
	{
		my @lists = PgCluster::read_file($file) =~ /\binherits\s*\(([^)]*)\)|\binherit\s+(\w+)\s*;/gi;
		$parents{ lc s/.*\.|\s//gr }++ foreach map { split /,/ } grep { defined } @lists;
	}
	return grep { /^\w+$/ } sort keys %parents;
}

# --- judging it ---------------------------------------------------------------

sub no_crash
{
	my @bad;

	foreach my $log (@_)
	{
		open(my $fh, '<', $log) or die "$log: $!\n";
		push @bad, grep { /TRAP: |terminated by signal|PANIC: |unrecognized node type/ } <$fh>;
	}
	is(join('', @bad), '', 'no crash, failed assertion or unknown node');
	return;
}

sub read_known
{
	return map { /^(\w+)\s/ ? ($1 => 1) : () } split /\n/, PgCluster::read_file("$FindBin::Bin/known");
}

sub input
{
	my ($test) = @_;

	return grep { $_ ne '' } split /\n/, PgCluster::read_file("$suite/sql/$test.sql");
}

# What came in a test's output after which line of its input: all of these are
# there, in their order, but for empty ones.
sub answers
{
	my ($file, @input) = @_;
	my %answers;
	my $at = 0;

	foreach my $line (split /\n/, PgCluster::read_file($file))
	{
		if ($at < @input && $line eq $input[$at]) { $at++; }
		else { push @{ $answers{$at} }, $line; }
	}
	return \%answers;
}

# Tables and counts of rows look different with one row more.
sub essential
{
	return map { s/\s+/ /gr =~ s/^ | $//gr } grep { !/^[-+ ]*$|^\(\d+ rows?\)$|^ *oid +\| +proname *$/ } @_;
}

sub only_more
{
	my ($less, $more) = @_;
	my %count;

	$count{$_}++ foreach essential(@$more);
	$count{$_}-- foreach essential(@$less);
	return !grep { $_ < 0 } values %count;
}

sub kind_of_difference
{
	my ($sql, $plain, $ours) = @_;
	my @new = grep { /^(psql:\S+ )?ERROR: / } @$ours;
	my %error = map { $_ => 1 } grep { /^ERROR: / } @$plain;
	my ($error) = grep { !$error{$_} } @new;

	return 'rows in another order' if join("\n", sort map { s/\s+/ /gr } @$plain) eq join("\n", sort map { s/\s+/ /gr } @$ours);
	return 'EXPLAIN' if $sql =~ /\bexplain\b/i;
	return 'error text: ' . general($error) if defined $error && %error;
	return 'error: ' . general($error) if defined $error;
	return 'no error' if %error && !@new;
	return 'context lines' if join("\n", sort grep { !/^(CONTEXT|DETAIL|HINT|NOTICE|WARNING|LINE|NOTICE):|^ *\^$/ } @$plain) eq join("\n", sort grep { !/^(CONTEXT|DETAIL|HINT|NOTICE|WARNING|LINE):|^ *\^$/ } @$ours);
	return 'other';
}

sub general
{
	my ($error) = @_;

	$error =~ s/"[^"]*"/"..."/g;
	$error =~ s/\d+/0/g;
	return $error;
}

sub compare_results
{
	my (%kinds, @unknown, $statements, $same);

	foreach my $file (sort glob "$plain/*.out")
	{
		my ($test) = $file =~ m{([^/]+)\.out$};
		my @input = input($test);
		my ($before, $after) = map { answers("$_/$test.out", @input) } $plain, $ours;
		my $said = 0;

		is(join(' ', sort keys %$after), join(' ', sort keys %$before), "$test: the same statements") if !$distribute;
		foreach my $line (sort { $a <=> $b } keys %{ { %$before, %$after } })
		{
			my $sql = join '', map { "$_\n" } @input[ $said .. $line - 1 ];
			my ($gave, $gives) = map { $_->{$line} // [] } $before, $after;

			$said = $line;
			$statements++;
			next if join("\n", @$gave) eq join("\n", @$gives) && ++$same;
			next if !$distribute && $known{$test} && only_more($gave, $gives);
			my $text = join("\n", "$test: $sql--- without", @$gave, '--- with', @$gives) . "\n";
			push @unknown, $text;
			push @{ $kinds{ kind_of_difference($sql, $gave, $gives) } }, $text;
		}
	}
	diag(sprintf "%d statements, %d the same", $statements, $same);
	if ($distribute)
	{
		diag(sprintf '%6d %s', scalar @{ $kinds{$_} }, $_) foreach sort { @{ $kinds{$b} } <=> @{ $kinds{$a} } } keys %kinds;
		diag(join "\n", "=== $_", @{ $kinds{$_} }) foreach grep { defined $show && /$show/ } sort keys %kinds;
		return;
	}
	is(join("\n", @unknown), '', 'nothing differs that is not explained');
	return;
}
