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
use PgCluster::Tpch;
use Time::HiRes qw(time);

my $rows = 100_000;
my $copy_rows = 200_000;
my $clients = 8;
my $branches = 100;

# How each is measured: a function of (side, workload, duration, column) that
# returns a rate, or the amount of what "unit" names, of which less is better.
# Column 0 is ours, 1 plain; "sides" says where each is measured.
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
	{
		name => 'insert_key_prepared',
		measure => \&pgbench,
		mode => 'prepared',
		prepare => \&make_added,
		script => "\\set new random(1, 1000000000000000)\nINSERT INTO added VALUES (:new, :id, 0, 'a new row');"
	},
	{ name => 'tpcb_one_shard', measure => \&pgbench, mode => 'prepared', prepare => \&load_bank, script => \&transfer },
	{ name => 'tpcb_two_nodes', measure => \&pgbench, mode => 'prepared', prepare => \&load_bank, script => sub { transfer(2) } },
	{ name => 'copy', measure => \&copy },
	{ name => 'copy_jsonb', measure => \&copy_jsonb, prepare => \&make_event },
	{
		name => 'insert_1000',
		measure => \&pgbench,
		mode => 'simple',
		prepare => \&make_many,
		script => \&insert_many
	},
	{ name => 'update_quarter', measure => \&quarter, prepare => \&load_quarter, script => 'UPDATE quarter SET balance = balance + 1 WHERE owner % 4 = 1' },
	{ name => 'delete_quarter', measure => \&quarter, prepare => \&load_quarter, script => 'DELETE FROM quarter WHERE owner % 4 = 1' },
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
	{ name => 'first_query_256', unit => 'ms', measure => \&first_query_256, prepare => \&load_wide },
	{ name => 'select_key_256_shards', sides => [ 'ours', 'ours' ], measure => \&select_wide, prepare => \&load_wide },
	{ name => 'plan_key_256_shards', sides => [ 'ours', 'ours' ], command => 'EXPLAIN ', measure => \&select_wide, prepare => \&load_wide },
	{ name => 'backend_memory', unit => 'kB', measure => \&backend_memory },
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
	{
		name => 'join_neither',
		measure => \&pgbench,
		mode => 'simple',
		clients => 1,
		prepare => \&load_pairs,
		script => 'SELECT a.w % 100, count(*), sum(b.w) FROM left_side a JOIN right_side b ON a.v = b.v GROUP BY 1;'
	},
	{
		name => 'insert_select_colocated',
		measure => \&insert_select,
		prepare => \&load_sources,
		count => 1_000_000,
		script => 'INSERT INTO taken_same SELECT * FROM source_rows'
	},
	{
		name => 'insert_select_unordered',
		measure => \&insert_select,
		prepare => \&load_unordered,
		count => 1_000_000,
		script => 'INSERT INTO taken_mixed SELECT * FROM source_mixed'
	},
	{
		name => 'insert_select_repartition',
		measure => \&insert_select,
		prepare => \&load_sources,
		count => 1_000_000,
		script => 'INSERT INTO taken_other SELECT * FROM source_rows'
	},
	{
		name => 'insert_select_coordinator',
		measure => \&insert_select,
		prepare => \&load_sources,
		count => 200_000,
		script => 'INSERT INTO taken_same SELECT * FROM source_rows ORDER BY v, id LIMIT 200000'
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
	} @Analytic::queries),
	map({
			{
				name => 'tpch: ' . ($_ + 1),
				group => 'tpch',
				measure => \&once,
				prepare => \&load_tpch,
				script => $PgCluster::Tpch::queries[$_]
			}
	} 0 .. $#PgCluster::Tpch::queries),);

my ($turns, $seconds, $scale, $size) = (3, 8, 0.05, 1);
GetOptions('list' => \my $list, 'tcp' => \my $tcp, 'turns=i' => \$turns, 'seconds=i' => \$seconds, 'scale=f' => \$scale, 'size=f' => \$size) or exit 2;
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
	ours => PgCluster->new(workers => 2, config => $settings, node_sockets => !$tcp),
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

sub load_tpch
{
	foreach my $side (values %side)
	{
		PgCluster::Tpch::load($side, $scale, distribute => $side == $side{ours});
		$side->sql($_, 'VACUUM ANALYZE; CHECKPOINT') foreach reverse $side->node_names;
	}
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

# A table of its rows' shape, split by a column, and filled with some of them.
sub load_rows
{
	my ($name, $key, $of) = @_;
	my $columns = 'id integer, v integer, amount numeric, at timestamptz, note text';
	my $row = q{SELECT i, (i * 7919::bigint) % 1000003, i / 7.0, timestamptz '2024-01-01Z' + i * interval '1 s', 'note ' || i};

	load_table($name, "$columns, PRIMARY KEY (" . join(', ', $key, grep { $_ ne $key } 'id') . ')', $key, "$row FROM $of");
	return;
}

# What INSERT ... SELECT reads, and tables for it that are split alike and by another column.
sub load_sources
{
	load_rows('source_rows', 'id', 'generate_series(1, 1000000) i');
	load_rows('taken_same', 'id', 'generate_series(1, 1) i');
	load_rows('taken_other', 'v', 'generate_series(1, 1) i');
	return;
}

# Rows that do not stand in the order of their key.
sub load_unordered
{
	load_rows('source_mixed', 'id', 'generate_series(1, 1000000) i ORDER BY 2');
	load_rows('taken_mixed', 'id', 'generate_series(1, 1) i');
	return;
}


# For INSERTs of keys that are not there yet.
sub make_added
{
	foreach my $side (sort keys %side)
	{
		$side{$side}->sql('c', 'CREATE TABLE added (id bigint PRIMARY KEY, owner integer, balance integer, filler char(84))');
		$side{$side}->sql('c', "SELECT create_distributed_table('added', 'id')") if $side eq 'ours';
	}
	return;
}

# The rows of "item" over 256 shards.
sub load_wide
{
	$_->sql('c', 'CREATE TABLE wide (LIKE item INCLUDING ALL)') foreach values %side;
	$side{ours}->sql('c', "SELECT create_distributed_table('wide', 'id', shard_count => 256)");
	foreach my $cluster (values %side)
	{
		$cluster->sql('c', 'INSERT INTO wide SELECT * FROM item');
		$cluster->sql($_, 'VACUUM ANALYZE') foreach reverse $cluster->node_names;
	}
	return;
}

# The tables of pgbench's own transaction, all distributed by their branch.
sub load_bank
{
	load_table('branch', 'bid integer PRIMARY KEY, bbalance integer, filler char(88)', 'bid', "SELECT i, 0, '' FROM generate_series(1, $branches) i");
	load_table(
		'teller', 'bid integer, tid integer, tbalance integer, filler char(84), PRIMARY KEY (bid, tid)',
		'bid', "SELECT b, i, 0, '' FROM generate_series(1, $branches) b, generate_series(1, 10) i");
	load_table(
		'account', 'bid integer, aid integer, abalance integer, filler char(84), PRIMARY KEY (bid, aid)',
		'bid', "SELECT b, i, 0, '' FROM generate_series(1, $branches) b, generate_series(1, 1000) i");
	load_table('history', 'tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler char(22)', 'bid', 'SELECT 0, 0, 0, 0, now()::timestamp, NULL');
	return;
}

# Branches by the worker that has them, as a variable of pgbench's.
sub branch_on
{
	my ($variable, $group) = @_;
	my @on = split /\n/, $side{ours}->sql('c',
		"SELECT b FROM generate_series(1, $branches) b JOIN cluster_shards s ON hashint4(b) BETWEEN s.hash_min AND s.hash_max WHERE s.table_name = 'branch'::regclass AND s.group_id = $group");

	return "\\set at random(1, " . @on . ")\n\\set $variable CASE" . join('', map { ' WHEN :at = ' . ($_ + 1) . " THEN $on[$_]" } 0 .. $#on) . " ELSE $on[0] END\n";
}

# pgbench's own transaction; over two nodes the account is not where the teller is.
sub transfer
{
	my ($nodes) = @_;
	my $choose = ($nodes // 1) == 2 ? branch_on('bid', 1) . branch_on('far', 2) : "\\set bid random(1, $branches)\n\\set far :bid\n";

	return $choose . <<'END';
\set aid random(1, 1000)
\set tid random(1, 10)
\set delta random(-5000, 5000)
BEGIN;
UPDATE account SET abalance = abalance + :delta WHERE aid = :aid AND bid = :far;
SELECT abalance FROM account WHERE aid = :aid AND bid = :far;
UPDATE teller SET tbalance = tbalance + :delta WHERE tid = :tid AND bid = :bid;
UPDATE branch SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
END
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
		my @rate;
		foreach my $column (0, 1)
		{
			my $side = ($workload->{sides} // [ 'ours', 'plain' ])->[$column];

			# Turn 0 warms caches and connections up and is not counted.
			$rate[$column] = $workload->{measure}->($side{$side}, $workload, $turn ? $seconds : 1, $column);
			progress(sprintf '%s turn %d %s: %.1f%s', $workload->{name}, $turn, $side, $rate[$column], $workload->{unit} // '/s') if $turn;
		}
		next unless $turn;
		push @ours, $rate[0];
		push @plain, $rate[1];
	}
	my $ratio = median(map { $workload->{unit} ? $plain[$_] / $ours[$_] : $ours[$_] / $plain[$_] } 0 .. $#ours);
	my $digits = median(@plain) < 100 ? 2 : 0;
	printf "%s\t%.*f\t%.*f\t%.3f\n", $workload->{name}, $digits, median(@ours), $digits, median(@plain), $ratio;
	return $ratio;
}

# Transactions a second of pgbench's clients.
sub pgbench
{
	my ($cluster, $workload, $duration) = @_;
	my $script = "$cluster->{dir}/" . $workload->{name} =~ s/\W+/_/gr . '.sql';

	my $sql = ref $workload->{script} ? $workload->{script}->() : $workload->{script};

	PgCluster::write_file($script, "\\set id random(1, $rows)\n$sql\n");
	my ($status, $out, $err) = $cluster->try_run(
		"$cluster->{bindir}/pgbench", '-n', '-M', split(/ /, $workload->{mode}),
		'-c', $workload->{clients} // $clients, '-j', ($workload->{clients} // 2) > 1 ? 2 : 1, '-T', $duration, '-f', $script, client_conninfo($cluster));
	die "pgbench failed:\n$out$err" if $status != 0;
	die "transactions failed:\n$out$err" if $out =~ /number of failed transactions: [1-9]/;
	$out =~ /^tps = ([\d.]+) \((?:without|including)/m or die "unexpected output of pgbench:\n$out";
	return $1;
}

# Executions a second of a query that is run once, in a session of its own that
# has its connections to the nodes.
sub once
{
	my ($cluster, $workload) = @_;
	my $out = $cluster->sql('c', "\\timing on\nSET statement_timeout = '300s';\nSELECT count(*) FROM item WHERE id < 0;\n$workload->{script};");
	my ($milliseconds) = $out =~ /Time: ([\d.]+) ms[^\n]*\z/ or die "no time in psql's output:\n$out";

	return 1000 / $milliseconds;
}

# How clients connect; nodes always reach each other over TCP.
sub client_conninfo
{
	my ($cluster) = @_;
	my $conninfo = $cluster->conninfo('c');

	$conninfo =~ s/host=\S+/host=127.0.0.1/ if $tcp;
	return $conninfo;
}

# New sessions a second that ask for one row: what connecting to the nodes and
# reading the catalog cost beside connecting to the server.
sub first_query
{
	my ($cluster, $workload, $duration) = @_;

	return pgbench($cluster, { name => 'first_query', clients => 1, mode => 'simple -C', script => 'SELECT * FROM item WHERE id = :id;' }, $duration);
}

# Milliseconds of connecting and asking for one row of a table with many shards.
sub first_query_256
{
	my ($cluster, $workload, $duration) = @_;

	return 1000 / pgbench($cluster, { name => 'first_query_256', clients => 1, mode => 'simple -C', script => 'SELECT * FROM wide WHERE id = :id;' }, $duration);
}

# Both here, of 256 shards and of as many as there are by default.
sub select_wide
{
	my ($cluster, $workload, $duration, $column) = @_;
	my $table = $column == 0 ? 'wide' : 'item';

	my $command = $workload->{command} // '';

	return pgbench($cluster, { name => "select_$table", mode => 'simple', script => "${command}SELECT * FROM $table WHERE id = :id;" }, $duration);
}

# Kilobytes of its own that a backend has after 1,000 different statements by key.
sub backend_memory
{
	my ($cluster) = @_;
	my @columns = qw(id owner balance filler);
	my $file = "$cluster->{dir}/backend_memory.sql";
	my $sql = '';

	foreach my $i (1 .. 1000)
	{
		# Each bit of the number is another part of the statement.
		my @parts = map { "$columns[$_ % 4] AS c$_" } grep { $i >> $_ & 1 } 0 .. 9;

		$sql .= 'SELECT ' . join(', ', @parts) . " FROM item WHERE id = $i;\n";
	}
	PgCluster::write_file($file, "\\o /dev/null\n$sql\\o\n\\! grep RssAnon /proc/`cat $file.pid`/status\n");
	my ($status, $out, $err) =
	  $cluster->try_run("$cluster->{bindir}/psql", '-qAtX', '-d', $cluster->conninfo('c'), '-c', "\\o $file.pid", '-c', 'SELECT pg_backend_pid()', '-c', '\\o', '-f', $file);
	die "psql failed:\n$out$err" if $status != 0;
	$out =~ /^RssAnon:\s+(\d+) kB/m or die "unexpected output of psql:\n$out$err";
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

# For COPY of rows with jsonb.
sub make_event
{
	foreach my $side (sort keys %side)
	{
		$side{$side}->sql('c', 'CREATE TABLE event (id bigint PRIMARY KEY, owner integer, at timestamptz, kind text, amount numeric(10,2), seen boolean, payload jsonb)');
		$side{$side}->sql('c', "SELECT create_distributed_table('event', 'id')") if $side eq 'ours';
	}
	return;
}

# Rows a second of one COPY FROM STDIN of rows with jsonb into an empty table.
sub copy_jsonb
{
	my ($cluster) = @_;
	my $count = int(2_000_000 * $size);
	state $file;

	if (!$file)
	{
		$file = "$cluster->{dir}/events.rows";
		open(my $fh, '>', $file) or die "$file: $!";
		printf {$fh} "%d\t%d\t2024-01-%02d %02d:%02d:00+00\t%s\t%d.%02d\t%s\t{\"id\": %d, \"tags\": [\"a%d\", \"b%d\"], \"place\": {\"city\": \"town %d\", \"zip\": \"%05d\"}, \"open\": true}\n",
		  $_, $_ % 1000, 1 + $_ % 28, $_ % 24, $_ % 60, (qw(view click buy leave))[ $_ % 4 ], $_ % 5000, $_ % 100, $_ % 3 ? 't' : 'f', $_, $_ % 7, $_ % 11, $_ % 500, $_ % 99999
		  foreach 1 .. $count;
		close $fh or die "$file: $!";
	}
	$cluster->sql('c', 'TRUNCATE event');
	$cluster->sql($_, 'CHECKPOINT') foreach $cluster->node_names;
	my $start = time();
	$cluster->sql('c', "\\copy event FROM '$file'");
	my $rate = $count / (time() - $start);
	my $found = $cluster->sql('c', 'SELECT count(*) FROM event');
	die "copied $count rows, found $found" if $found != $count;
	return $rate;
}

sub make_many
{
	foreach my $side (sort keys %side)
	{
		$side{$side}->sql('c', 'CREATE TABLE many (id bigint, owner integer, balance integer, filler text)');
		$side{$side}->sql('c', "SELECT create_distributed_table('many', 'id')") if $side eq 'ours';
	}
	return;
}

# One statement of 1,000 rows, other ones each time.
sub insert_many
{
	return "\\set new random(1, 1000000000000)\nINSERT INTO many VALUES "
	  . join(', ', map { "(:new + $_, $_, 0, 'a new row $_')" } 1 .. 1000) . ';';
}

sub load_quarter
{
	load_table('quarter', 'id integer PRIMARY KEY, owner integer, balance integer, filler text', 'id',
		"SELECT i, i % 1000, 0, 'a row of the table ' || i FROM generate_series(1, " . int(1_000_000 * $size) . ') i');
	return;
}

# Statements a second that change a quarter of a table; what they do is undone, and the
# dead rows are cleaned up, before the next one.
sub quarter
{
	my ($cluster, $workload) = @_;
	my $wanted = int(1_000_000 * $size) / 4;
	my $delete = $workload->{script} =~ /^DELETE/;

	my $out = $cluster->sql('c', "\\timing on\nSELECT count(*) FROM quarter WHERE id < 0;\n$workload->{script};");
	my ($milliseconds) = $out =~ /Time: ([\d.]+) ms[^\n]*\z/ or die "no time in psql's output:\n$out";
	my $left = $cluster->sql('c', 'SELECT count(*) FROM quarter WHERE owner % 4 = 1');
	die "$left rows instead of $wanted" if $left != ($delete ? 0 : $wanted);
	$cluster->sql('c', "INSERT INTO quarter SELECT i, i % 1000, 0, 'a row of the table ' || i FROM generate_series(1, " . int(1_000_000 * $size) . ') i WHERE i % 1000 % 4 = 1') if $delete;
	$cluster->sql($_, 'VACUUM quarter') foreach 'c';
	$cluster->sql($_, 'CHECKPOINT') foreach $cluster->node_names;
	return 1000 / $milliseconds;
}


# Rows a second of one INSERT ... SELECT into an empty table.
sub insert_select
{
	my ($cluster, $workload) = @_;
	my ($table) = $workload->{script} =~ /INSERT INTO (\w+)/;

	$cluster->sql('c', "TRUNCATE $table");
	$cluster->sql($_, 'CHECKPOINT') foreach $cluster->node_names;
	my $rate = $workload->{count} * once($cluster, $workload);
	my $count = $cluster->sql('c', "SELECT count(*) FROM $table");
	die "inserted $workload->{count} rows, found $count" if $count != $workload->{count};
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
