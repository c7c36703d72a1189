#!/usr/bin/perl
# The workloads of bench/run, which starts this as the servers' user.
#
# Ours is a coordinator and two workers, plain is one server; all four run on
# this machine with the same settings and the same rows.  They are measured in
# turns (ours, plain, ours, ...), so that what slows the machine down for a
# while slows both, and the ratio printed is the median of the turns' ratios.

use strict;
use warnings;
use feature 'state';

use FindBin;
use lib "$FindBin::Bin/../../test/perl", $FindBin::Bin;

use Analytic;
use Getopt::Long;
use List::Util qw(sum);
use PgCluster;
use Time::HiRes qw(time);

my $rows = 100_000;
my $copy_rows = 200_000;
my $clients = 8;

# How each is measured: a function of (side, workload) that returns a rate.
my @workloads = (
	{
		name => 'select_key_prepared',
		measure => \&pgbench,
		mode => 'prepared',
		script => 'SELECT * FROM item WHERE id = :id;'
	},
	{
		name => 'select_key_simple',
		measure => \&pgbench,
		mode => 'simple',
		script => 'SELECT * FROM item WHERE id = :id;'
	},
	{
		name => 'update_key_prepared',
		measure => \&pgbench,
		mode => 'prepared',
		script => 'UPDATE item SET balance = balance + 1 WHERE id = :id;'
	},
	{ name => 'copy', measure => \&copy },
	{
		name => 'select_key_one_client',
		measure => \&pgbench,
		mode => 'prepared',
		clients => 1,
		script => 'SELECT * FROM item WHERE id = :id;'
	},
	{
		name => 'rows',
		measure => \&pgbench,
		mode => 'extended',
		clients => 1,
		prepare => \&fill_copied,
		script => 'SELECT * FROM copied;'
	},
	{ name => 'first_query', measure => \&first_query },
	{
		name => 'join_other',
		measure => \&pgbench,
		mode => 'simple',
		clients => 1,
		prepare => \&load_pairs,
		script => 'SELECT count(*), sum(b.v) FROM left_side a JOIN right_side b ON a.v = b.w;'
	},
	{
		name => 'join_other_small',
		measure => \&pgbench,
		mode => 'simple',
		clients => 1,
		prepare => \&load_pairs,
		script => 'SELECT count(*), sum(b.v) FROM left_side a JOIN small_side b ON a.v = b.w;'
	},
	map({
			{
				name => "analytic: $_->[0]",
				group => 'analytic',
				measure => \&pgbench,
				mode => 'simple',
				clients => 1,
				prepare => \&load_shop,
				script => "$_->[1];"
			}
	} @Analytic::queries),);

my ($turns, $seconds) = (3, 8);
GetOptions('list' => \my $list, 'turns=i' => \$turns, 'seconds=i' => \$seconds) or exit 2;
if ($list)
{
	my %seen;
	print "$_\n" foreach grep { !$seen{$_}++ } map { $_->{group} // $_->{name} } @workloads;
	exit 0;
}
my %known;
push @{ $known{ $_->{group} // $_->{name} } }, $_ foreach @workloads;
my @unknown = grep { !$known{$_} } @ARGV;
if (@unknown || !@ARGV || $turns < 1 || $seconds < 1)
{
	print STDERR "bench/run: ", (@unknown ? "no workload @unknown" : "name one or more workloads"),
	  "; bench/run --list names them\n";
	exit 2;
}

my $settings = <<'END';
fsync = on
shared_buffers = '256MB'
max_wal_size = '4GB'
checkpoint_timeout = '1h'
autovacuum = off
log_checkpoints = off
END
progress('starting a coordinator, two workers and a plain server');
my %side = (
	ours => PgCluster->new(workers => 2, config => $settings),
	plain => PgCluster->new(
		workers => 0,
		setup => 0,
		config => "$settings\nshared_preload_libraries = ''\n"));
$_->start foreach values %side;
load_tables();
foreach my $name (@ARGV)
{
	my @ratios = map { run_workload($_) } @{ $known{$name} };
	printf "%s\t\t\t%.3f\n", "$name: geometric mean", exp(sum(map { log } @ratios) / @ratios) if @ratios > 1;
}
exit 0;

# --- the tables ---------------------------------------------------------------

sub load_tables
{
	my $table = 'CREATE TABLE %s (id integer PRIMARY KEY, owner integer, balance integer, filler char(84))';

	foreach my $side (sort keys %side)
	{
		foreach my $name (qw(item copied))
		{
			$side{$side}->sql('c', sprintf $table, $name);
			$side{$side}->sql('c', "SELECT create_distributed_table('$name', 'id')")
			  if $side eq 'ours';
		}
		my $file = write_rows($side{$side}, $rows);
		$side{$side}->sql('c', "\\copy item FROM '$file'");
		$side{$side}->sql($_, 'VACUUM ANALYZE') foreach $side{$side}->node_names;
	}
	return;
}

# Makes a table on both sides and fills it with the rows of a query.
sub load_table
{
	my ($name, $columns, $key, $query) = @_;

	foreach my $side (sort keys %side)
	{
		$side{$side}->sql('c', "CREATE TABLE $name ($columns)");
		$side{$side}->sql('c', $key ? "SELECT create_distributed_table('$name', '$key')" : "SELECT create_reference_table('$name')")
		  if $side eq 'ours';
		$side{$side}->sql('c', "INSERT INTO $name $query");
		$side{$side}->sql($_, 'VACUUM ANALYZE') foreach reverse $side{$side}->node_names;
		$side{$side}->sql($_, 'CHECKPOINT') foreach $side{$side}->node_names;
	}
	return;
}

sub fill_copied
{
	copy($_) foreach values %side;
	return;
}

sub load_shop
{
	load_table(@$_{qw(name columns key rows)}) foreach @Analytic::tables;
	return;
}

# Tables that are not joined on what they are split by.
sub load_pairs
{
	my $row = 'SELECT i, (i * 7919::bigint) % 1000003, (i * 104729::bigint) % 1000003';

	load_table('left_side', 'id integer PRIMARY KEY, v integer, w integer', 'id', "$row FROM generate_series(1, 1000000) i");
	load_table('right_side', 'id integer PRIMARY KEY, v integer, w integer', 'id', "$row FROM generate_series(1, 1000000) i");
	load_table('small_side', 'id integer PRIMARY KEY, v integer, w integer', 'id', "$row FROM generate_series(1, 10000) i");
	return;
}

# A file in COPY's format; returns its name.
sub write_rows
{
	my ($cluster, $count) = @_;
	my $file = "$cluster->{dir}/$count.rows";

	return $file if -e $file;
	open(my $fh, '>', $file) or die "$file: $!";
	printf {$fh} "%d\t%d\t0\t%s\n", $_, $_ % 1000, "row $_ " x 6 foreach 1 .. $count;
	close $fh or die "$file: $!";
	return $file;
}

# --- measuring ----------------------------------------------------------------

sub run_workload
{
	my ($workload) = @_;
	my (@ours, @plain);

	state %prepared;
	$workload->{prepare}->() if $workload->{prepare} && !$prepared{ $workload->{prepare} }++;

	foreach my $turn (0 .. $turns)
	{
		my %rate;
		foreach my $side (qw(ours plain))
		{
			# Turn 0 warms caches and connections up and is not counted.
			$rate{$side} = $workload->{measure}->($side{$side}, $workload, $turn ? $seconds : 1);
			progress(sprintf '%s turn %d %s: %.1f/s', $workload->{name}, $turn, $side, $rate{$side}) if $turn;
		}
		next unless $turn;
		push @ours, $rate{ours};
		push @plain, $rate{plain};
	}
	my $ratio = median(map { $ours[$_] / $plain[$_] } 0 .. $#ours);
	my $digits = median(@plain) < 100 ? 2 : 0;
	printf "%s\t%.*f\t%.*f\t%.3f\n", $workload->{name}, $digits, median(@ours), $digits, median(@plain), $ratio;
	return $ratio;
}

# Transactions a second of pgbench's clients.
sub pgbench
{
	my ($cluster, $workload, $duration) = @_;
	my $script = "$cluster->{dir}/" . $workload->{name} =~ s/\W+/_/gr . '.sql';

	PgCluster::write_file($script, "\\set id random(1, $rows)\n$workload->{script}\n");
	my ($status, $out, $err) = $cluster->try_run(
		"$cluster->{bindir}/pgbench", '-n', '-M', split(/ /, $workload->{mode}),
		'-c', $workload->{clients} // $clients, '-j', ($workload->{clients} // 2) > 1 ? 2 : 1, '-T', $duration, '-f', $script, $cluster->conninfo('c'));
	die "pgbench failed:\n$out$err" if $status != 0;
	die "transactions failed:\n$out$err" if $out =~ /number of failed transactions: [1-9]/;
	$out =~ /^tps = ([\d.]+) \((?:without|including)/m or die "unexpected output of pgbench:\n$out";
	return $1;
}

# New sessions a second that ask for one row: what connecting to the nodes and
# reading the catalog cost beside connecting to the server.
sub first_query
{
	my ($cluster, $workload, $duration) = @_;

	return pgbench($cluster, { name => 'first_query', clients => 1, mode => 'simple -C', script => 'SELECT * FROM item WHERE id = :id;' }, $duration);
}

# Rows a second of one COPY into an empty table.
sub copy
{
	my ($cluster) = @_;
	my $file = write_rows($cluster, $copy_rows);

	$cluster->sql('c', 'TRUNCATE copied');
	$cluster->sql($_, 'CHECKPOINT') foreach $cluster->node_names;
	my $start = time();
	$cluster->sql('c', "\\copy copied FROM '$file'");
	my $rate = $copy_rows / (time() - $start);
	my $count = $cluster->sql('c', 'SELECT count(*) FROM copied');
	die "copied $copy_rows rows, found $count" if $count != $copy_rows;
	return $rate;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

sub progress
{
	print STDERR "bench/run: @_\n";
	return;
}
