#!/usr/bin/perl
# The workloads of bench/run, which starts this as the servers' user.
#
# Ours is a coordinator and two workers, plain is one server; all four run on
# this machine with the same settings and the same rows.  They are measured in
# turns (ours, plain, ours, ...), so that what slows the machine down for a
# while slows both, and the ratio printed is the median of the turns' ratios.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../test/perl";

use Getopt::Long;
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
	{ name => 'copy', measure => \&copy },);

my ($turns, $seconds) = (3, 8);
GetOptions('list' => \my $list, 'turns=i' => \$turns, 'seconds=i' => \$seconds) or exit 2;
if ($list)
{
	print "$_->{name}\n" foreach @workloads;
	exit 0;
}
my %known = map { $_->{name} => $_ } @workloads;
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
run_workload($known{$_}) foreach @ARGV;
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

	foreach my $turn (0 .. $turns)
	{
		my %rate;
		foreach my $side (qw(ours plain))
		{
			# Turn 0 warms caches and connections up and is not counted.
			$rate{$side} = $workload->{measure}->($side{$side}, $workload, $turn ? $seconds : 1);
			progress(sprintf '%s turn %d %s: %.0f/s', $workload->{name}, $turn, $side, $rate{$side}) if $turn;
		}
		next unless $turn;
		push @ours, $rate{ours};
		push @plain, $rate{plain};
	}
	printf "%s\t%.0f\t%.0f\t%.3f\n", $workload->{name}, median(@ours), median(@plain),
	  median(map { $ours[$_] / $plain[$_] } 0 .. $#ours);
	return;
}

# Transactions a second of pgbench's clients.
sub pgbench
{
	my ($cluster, $workload, $duration) = @_;
	my $script = "$cluster->{dir}/$workload->{name}.sql";

	PgCluster::write_file($script, "\\set id random(1, $rows)\n$workload->{script}\n");
	my ($status, $out, $err) = $cluster->try_run(
		"$cluster->{bindir}/pgbench", '-n', '-M', $workload->{mode},
		'-c', $clients, '-j', 2, '-T', $duration, '-f', $script, $cluster->conninfo('c'));
	die "pgbench failed:\n$out$err" if $status != 0;
	die "transactions failed:\n$out$err" if $out =~ /number of failed transactions: [1-9]/;
	$out =~ /^tps = ([\d.]+) \(without/m or die "unexpected output of pgbench:\n$out";
	return $1;
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
