package PgCluster;

# Starts clusters for tests, demo and benchmarks, in one call.
#
# Servers without etcd, for what needs distribution alone: a coordinator and
# workers, known to each other through cluster_add_node.
#
#	my $c = PgCluster->new(workers => 2);
#	$c->start;
#	print $c->sql('c', 'SELECT * FROM cluster_nodes');
#
# Groups with high availability, over a real etcd:
#
#	my $c = PgCluster->new(groups => { 0 => 3, 1 => 2 }, etcd => 3);
#	$c->start;
#	my $leader = $c->leader(0);		# the name of a node: c1, c2, ..., w1a, w1b, ...
#	$c->sql(0, 'SELECT 1');			# on the leader of group 0
#	$c->kill_postmaster($leader);
#	$c->new_leader(0, $leader);
#
# All data lives in one directory that only this user can enter; every process
# is a child that is known by its pid and gone when the program ends, however
# it ends.  Runs as an unprivileged user, as the server demands.

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(:sys_wait_h setsid dup2);
use Time::HiRes qw(sleep time);

use PgCluster::Etcd;
use PgCluster::Network;
use PgCluster::Proxy;
use PgCluster::Writer;

our $TIMEOUT = $ENV{PGCLUSTER_TEST_TIMEOUT} || 60;

# Every cluster of this process that was not stopped yet, for END.
my %live;
my $owner = $$;
my %ports_given;

END
{
	# A forked writer leaves through POSIX::_exit; this is for accidents.
	if ($$ == ($owner // 0))
	{
		my $status = $?;
		my $failed = $status != 0 || $INC{'Test/Builder.pm'} && !Test::Builder->new->is_passing;
		foreach my $cluster (values %live)
		{
			$cluster->{keep} ||= $failed;
			$cluster->destroy;
			print STDERR "# logs and data are kept in $cluster->{dir}\n" if $failed;
		}
		$? = $status;
	}
}
$SIG{INT} = $SIG{TERM} = sub { exit 1; };

#-----------------------------------------------------------------------
# Making a cluster
#-----------------------------------------------------------------------

# Options of a cluster without etcd:
#	workers    number of worker nodes (w1, w2, ...) beside the coordinator c
#	node_sockets  true: nodes reach each other through Unix-domain sockets, not TCP
#	setup      false: start the servers but create no extension and add no node
#	config     lines added to every postgresql.conf
# Options of a cluster with etcd:
#	groups     {group => number of members}
#	etcd       number of members of etcd, 1 by default
#	settings   {name => value}, for every server
#	node_args  [...], more arguments of pgcluster_node run
#	dcs        {name => value}, run-time settings of every group; ttl is 5
#	sync       off, on or quorum: the synchronous mode of every group; by
#	           default $PGCLUSTER_TEST_SYNC, or off
#	disk       size of a file system of its own for each member's data, which can
#	           be filled; needs PgCluster::Network::enter
#	slow_etcd  true: etcd can be made to answer slowly, see PgCluster::Etcd
#	network    true: every member of groups and etcd is a host of its own; see
#	           PgCluster::Network
# Of every cluster:
#	bindir     where initdb and postgres are; default: that of $PG_CONFIG or pg_config
#	dir        where to keep data; default: a new directory in $TMPDIR or /tmp
#	keep       leave the directory behind; so it is too when the test failed
sub new
{
	my ($class, %options) = @_;
	my $self = bless {
		setup => 1,
		config => '',
		bindir => default_bindir(),
		nodes => {},
		order => [],
		%options
	}, $class;

	croak "a server cannot run as root: become another user first" if $> == 0;

	# Short, since the path of a socket may have 107 characters only.
	$self->{dir} //= tempdir('pgcluster-XXXXXX', DIR => $ENV{TMPDIR} || '/tmp');
	chmod 0700, $self->{dir};
	$self->{socket_dir} = $self->{dir};

	if ($self->{groups})
	{
		$self->{scope} //= 'test';
		$self->{sync} //= $ENV{PGCLUSTER_TEST_SYNC} || 'off';
		$self->{network} = PgCluster::Network->new if $self->{network};
		$self->{store} = PgCluster::Etcd->new($self, $self->{etcd} // 1);
		$self->add_group($_) foreach sort { $a <=> $b } keys %{ $self->{groups} };
	}
	else
	{
		$self->add_node('c', group => 0);
		$self->add_node("w$_", group => $_) foreach 1 .. $self->{workers} // 0;
	}

	$live{$self} = $self;
	return $self;
}

sub default_bindir
{
	my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
	my $bindir = `'$pg_config' --bindir`;

	croak "could not run $pg_config" if $? != 0;
	chomp $bindir;
	return $bindir;
}

sub add_group
{
	my ($self, $group) = @_;

	foreach my $i (1 .. $self->{groups}{$group})
	{
		my $name = $group > 0 ? "w$group" . chr(ord('a') + $i - 1) : "c$i";
		$self->add_node($name, group => $group);
	}
	return;
}

sub add_node
{
	my ($self, $name, %node) = @_;

	$self->{nodes}{$name} = {
		name => $name,
		address => $self->{network} ? $self->{network}->add_host($name) : '127.0.0.1',
		port => free_port(),
		data => "$self->{dir}/$name",
		log => "$self->{dir}/$name.log",
		%node
	};
	push @{ $self->{order} }, $name;
	$self->mount_disk($name) if $self->{disk};
	return $self->{nodes}{$name};
}

sub mount_disk
{
	my ($self, $name) = @_;
	my $node = $self->node($name);

	$node->{disk} = "$self->{dir}/$name.disk";
	$node->{data} = "$node->{disk}/data";
	mkdir $node->{disk} or croak "could not make $node->{disk}: $!";
	system('mount', '-t', 'tmpfs', '-o', "size=$self->{disk}", 'none', $node->{disk}) == 0
	  or croak "could not mount a file system on $node->{disk}";
	return;
}

# A port that nothing listens on, from below the range out of which the kernel
# serves clients: a server that restarts must find its port free.
sub free_port
{
	for (1 .. 1000)
	{
		my $port = 15000 + int(rand(17000));
		next if $ports_given{$port}++;
		my $socket = IO::Socket::INET->new(
			LocalAddr => '127.0.0.1',
			LocalPort => $port,
			Listen => 1,
			ReuseAddr => 1);
		return $port if $socket;
	}
	croak "no free port found";
}

sub node
{
	my ($self, $name) = @_;

	return $self->{nodes}{$name} // croak "there is no node \"$name\"";
}

sub node_names { return @{ $_[0]{order} }; }

#-----------------------------------------------------------------------
# Start and stop
#-----------------------------------------------------------------------

sub start
{
	my ($self) = @_;

	return $self->start_groups if $self->{groups};
	$self->init_node($_) foreach $self->node_names;
	$self->start_node($_) foreach $self->node_names;
	$self->setup_distribution if $self->{setup};
	return $self;
}

# initdb runs once; the other nodes are copies.
sub init_node
{
	my ($self, $name) = @_;
	my $node = $self->node($name);
	my $template = "$self->{dir}/template";

	if (!-d $template)
	{
		$self->run("$self->{bindir}/initdb", '-D', $template, '-U', 'postgres',
			'-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8', '-k');
	}
	system('cp', '-a', $template, $node->{data}) == 0 or croak "could not copy $template";
	append_file("$node->{data}/postgresql.conf", <<"END");
listen_addresses = '127.0.0.1'
port = $node->{port}
unix_socket_directories = '$self->{socket_dir}'
shared_preload_libraries = 'pgcluster'
max_prepared_transactions = 100
max_connections = 100
wal_level = logical
fsync = off
log_line_prefix = '%m [%p] %b %a '
pgcluster.node_name = '$name'
pgcluster.group = $node->{group}
pgcluster.http_port = 0
$self->{config}
END
	return;
}

sub start_node
{
	my ($self, $name) = @_;
	my $node = $self->node($name);

	delete $node->{status};
	return $self->start_member($name) if $self->{groups};
	$node->{pid} = $self->spawn($node->{log}, "$self->{bindir}/postgres", '-D', $node->{data});
	wait_until(
		sub {
			defined $self->exit_status($name)
			  and croak "node $name ended at start, see $node->{log}:\n" . tail($node->{log});
			$self->accepts($name);
		}) or croak "node $name did not start, see $node->{log}:\n" . tail($node->{log});
	return;
}

sub accepts
{
	my ($self, $name) = @_;
	my $node = $self->node($name);

	return system("$self->{bindir}/pg_isready -q -t 1 -h '$self->{socket_dir}' -p $node->{port}") == 0;
}

sub setup_distribution
{
	my ($self) = @_;

	$self->sql($_, 'CREATE EXTENSION pgcluster') foreach $self->node_names;
	foreach my $name (grep { $self->node($_)->{group} > 0 } $self->node_names)
	{
		my $node = $self->node($name);
		my $host = $self->{node_sockets} ? $self->{socket_dir} : '127.0.0.1';
		$self->sql('c', "SELECT cluster_add_node('$host', $node->{port}, $node->{group})");
	}
	return;
}

# Stops one node; mode is one of smart, fast, immediate as for pg_ctl.
my %stop_signal = (smart => 'TERM', fast => 'INT', immediate => 'QUIT');

sub stop_node
{
	my ($self, $name, $mode) = @_;
	my $node = $self->node($name);

	return unless defined $node->{pid};
	kill $stop_signal{ $mode // 'fast' }, $node->{pid};
	wait_until(sub { defined $self->exit_status($name) })
	  or croak "node $name did not stop, see $node->{log}";
	return;
}

sub restart_node
{
	my ($self, $name, $mode) = @_;

	$self->stop_node($name, $mode);
	$self->start_node($name);
	return;
}

# The status with which the node's process ended, undef while it runs.
sub exit_status
{
	my ($self, $name) = @_;
	my $node = $self->node($name);

	return $node->{status} unless defined $node->{pid};
	if (waitpid($node->{pid}, WNOHANG) == $node->{pid})
	{
		$node->{status} = $?;
		delete $node->{pid};
		return $node->{status};
	}
	return;
}

sub stop
{
	my ($self, $mode) = @_;

	$self->stop_node($_, $mode) foreach reverse $self->node_names;
	return;
}

# Stops what still runs, and removes the data unless asked to keep it.
sub destroy
{
	my ($self) = @_;

	delete $live{$self};
	foreach my $name ($self->node_names)
	{
		my $node = $self->node($name);
		my @processes = process_tree($node->{pid} // (), $self->postmaster_pid($name) // ());
		kill 'QUIT', $node->{pid} // $self->postmaster_pid($name) // ();
		kill 'CONT', @processes;
		wait_until(sub { defined $self->exit_status($name) }, 10) if defined $node->{pid};
		kill 'KILL', grep { $self->uses_data($name, $_) } @processes;
		waitpid($node->{pid}, 0) if defined $node->{pid};
	}
	$self->{store}->destroy if $self->{store};
	$self->{network}->remove if $self->{network};
	if (!$self->{keep} && !$ENV{PGCLUSTER_KEEP})
	{
		system('umount', '-l', $_) foreach map { $_->{disk} // () } values %{ $self->{nodes} };
	}
	remove_tree($self->{dir}, { safe => 1 }) unless $self->{keep} || $ENV{PGCLUSTER_KEEP};
	return;
}

# Leaves the servers running when the program ends.
sub release
{
	my ($self) = @_;

	delete $live{$self};
	return;
}

#-----------------------------------------------------------------------
# Groups with high availability
#-----------------------------------------------------------------------

sub start_groups
{
	my ($self) = @_;

	$self->{passfile} = "$self->{dir}/passfile";
	$self->{store}->start;
	$self->configure($_) foreach keys %{ $self->{groups} };
	$self->start_node($_) foreach $self->node_names;
	$self->wait_ready($_) foreach sort keys %{ $self->{groups} };
	return $self;
}

# Gives a group its run-time settings: those of its cluster, and these.
sub configure
{
	my ($self, $group, %more) = @_;
	my %dcs = (
		ttl => 5,
		$self->{sync} eq 'off' ? () : (synchronous_mode => $self->{sync}),
		%{ $self->{dcs} // {} },
		%more);
	my $json = JSON::PP->new->canonical->encode(\%dcs);

	$self->{store}->put($self->key($group, 'config'), $json)
	  if $json ne ($self->{config_put}{$group} // '');
	$self->{config_put}{$group} = $json;
	return;
}

# Starts a member under pgcluster_node; does not wait for its server.
sub start_member
{
	my ($self, $name) = @_;
	my $node = $self->node($name);
	my %settings = (
		unix_socket_directories => $self->{socket_dir},
		fsync => 'off',
		# On a host of its own each may have the same port.
		$self->{network} ? ('pgcluster.http_listen' => $node->{address}, 'pgcluster.http_port' => 8008) : (),
		%{ $self->{settings} // {} },
		%{ $node->{settings} // {} });

	$node->{pid} = $self->spawn(
		$node->{log}, $self->on_host($name), @{ $node->{wrapper} // [] },
		"$self->{bindir}/pgcluster_node", 'run',
		'-D' => $node->{data},
		'--scope' => $self->{scope},
		'--group' => $node->{group},
		'--name' => $name,
		'--etcd' => $self->{store}->endpoints,
		'--port' => $node->{port},
		'--listen' => $node->{address},
		'--advertise-host' => $node->{address},
		'--passfile' => $self->{passfile},
		'--initdb-arg' => '--no-sync',
		'--initdb-arg' => '--locale=C.UTF-8',
		@{ $self->{node_args} // [] },
		map { ('--set' => "$_=$settings{$_}") } sort keys %settings);
	return;
}

# The words that have a command run on the host of a node or of an etcd.
sub on_host
{
	my ($self, $name) = @_;

	return $self->{network} ? $self->{network}->command($name) : ();
}

# Path of a key of the group in etcd.
sub key
{
	my ($self, $group, $name) = @_;

	return $group < 0 ? "/service/$self->{scope}/$name" : "/service/$self->{scope}/$group/$name";
}

sub members
{
	my ($self, $group) = @_;

	return grep { $self->node($_)->{group} == $group } $self->node_names;
}

# The node whose name is in the leader key of the group; undef: none.
sub leader
{
	my ($self, $group) = @_;

	return $self->{store}->get($self->key($group, 'leader'));
}

# Waits until a member other than the given one leads and takes writes;
# returns its name.
sub new_leader
{
	my ($self, $group, $old, $timeout) = @_;
	my $leader;

	wait_until(
		sub {
			# No use waiting for the dead.
			grep { !defined $self->exit_status($_) } $self->members($group)
			  or croak "all members of group $group ended:\n" . $self->tails;
			$leader = $self->leader($group);
			return defined $leader && $leader ne ($old // '') && $self->is_primary($leader);
		},
		$timeout) or croak "group $group has no new leader; logs are in $self->{dir}:\n" . $self->tails;
	return $leader;
}

sub is_primary
{
	my ($self, $name) = @_;
	my ($status, $out) = $self->try_sql($name, 'SELECT pg_is_in_recovery()');

	return $status == 0 && $out eq "f\n";
}

# Is the node a standby that streams on the timeline of its group's leader?  The
# stream of a member that diverged comes up for a moment too.
sub is_streaming
{
	my ($self, $name) = @_;
	my $timeline = 0;

	foreach my $leader (grep { $_ ne $name } $self->members($self->node($name)->{group}))
	{
		my ($status, $out) = $self->try_sql($leader, q{SELECT ('x' || left(pg_walfile_name(
			CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_lsn() END), 8))::bit(32)::int});
		$timeline = $1 if $status == 0 && $out =~ /^(\d+)$/ && $1 > $timeline;
	}
	my ($status, $out) = $self->try_sql($name,
		'SELECT pg_is_in_recovery() AND EXISTS (SELECT FROM pg_stat_wal_receiver'
		  . " WHERE status = 'streaming' AND received_tli = $timeline)");
	return $status == 0 && $out eq "t\n";
}

# Waits for that.
sub wait_streaming
{
	my ($self, $name, $timeout) = @_;

	wait_until(sub { $self->is_streaming($name) }, $timeout)
	  or croak "$name does not stream, see $self->{dir}:\n" . $self->tails;
	return;
}

# Waits until the group has a leader and all other members stream; returns the
# leader's name.
sub wait_ready
{
	my ($self, $group, $timeout) = @_;
	my $leader;

	# The lead may change meanwhile.
	wait_until(
		sub {
			$leader = $self->new_leader($group, undef, $timeout);
			return !grep { $_ ne $leader && !$self->is_streaming($_) } $self->members($group);
		},
		$timeout) or croak "not all members of group $group stream, see $self->{dir}:\n" . $self->tails;
	$self->wait_synchronous($group, $leader, $timeout) if $self->{sync} ne 'off';
	return $leader;
}

# The standbys that the sync key lists, if it is of that leader.
sub synchronous
{
	my ($self, $group, $leader) = @_;
	my $value = $self->{store}->get($self->key($group, 'sync')) // return;
	my $sync = JSON::PP::decode_json($value);

	return () if defined $leader && $sync->{leader} ne $leader;
	return sort split /,/, $sync->{sync_standby} // '';
}

# Waits until as many standbys as there can be are synchronous.
sub wait_synchronous
{
	my ($self, $group, $leader, $timeout) = @_;
	my $others = $self->members($group) - 1;
	my $wanted = $self->{sync} eq 'quorum' ? $others : $self->{dcs}{synchronous_node_count} // 1;

	$wanted = $others if $wanted > $others;
	wait_until(sub { my @names = $self->synchronous($group, $leader); @names >= $wanted }, $timeout)
	  or croak "too few standbys of $leader are synchronous:\n" . $self->tails;
	return;
}

sub tails
{
	my ($self) = @_;

	return join '', map { "== $_ ==\n" . tail($self->node($_)->{log}, 15) } $self->node_names;
}

# A libpq connection string that finds the primary of a group.
sub group_conninfo
{
	my ($self, $group) = @_;
	my @nodes = map { $self->node($_) } $self->members($group);

	return 'host=' . join(',', map { $_->{address} } @nodes) . ' port=' . join(',', map { $_->{port} } @nodes)
	  . " user=postgres dbname=postgres passfile=$self->{passfile}"
	  . ' target_session_attrs=read-write connect_timeout=2';
}

# Starts a writer into a table of its own; see PgCluster::Writer.
sub writer
{
	my ($self, $group, %options) = @_;
	my $number = ++$self->{writers};
	my $table = $options{table} // "writer$number";

	$self->sql($group, "CREATE TABLE IF NOT EXISTS $table (id bigint, port int)");
	return PgCluster::Writer->start(
		program => "$self->{bindir}/psql",
		conninfo => $self->group_conninfo($group),
		record => "$self->{dir}/writer$number",
		%options,
		table => $table);
}

# The same, but it bears with all that clients meet: gives up what is not
# answered in two seconds, and asks last whoever failed last.
sub hardy_writer
{
	my ($self, $group, %options) = @_;

	return $self->writer(
		$group,
		conninfo => "user=postgres dbname=postgres passfile=$self->{passfile}"
		  . ' target_session_attrs=read-write connect_timeout=2',
		hosts => [ map { [ @{ $self->node($_) }{qw(address port)} ] } $self->members($group) ],
		patience => 2,
		epochs => 1,
		%options);
}

# Acknowledged rows that are not in the writer's table.
sub lost_rows
{
	my ($self, $group, $writer, @rows) = @_;
	my %there = map { $_ => 1 } split /\n/, $self->sql($group, "SELECT id, port FROM $writer->{table}");

	return grep { !$there{"$_->{id}|$_->{port}"} } @rows;
}

#-----------------------------------------------------------------------
# Faults
#-----------------------------------------------------------------------

# The process in postmaster.pid, if it is that server.
sub postmaster_pid
{
	my ($self, $name) = @_;
	my ($pid) = read_file($self->node($name)->{data} . '/postmaster.pid') =~ /^(\d+)/;

	return defined $pid && $self->uses_data($name, $pid) ? $pid : undef;
}

# True if the process works in the node's data directory, or is its parent.
sub uses_data
{
	my ($self, $name, $pid) = @_;
	my $node = $self->node($name);
	my $cwd = readlink("/proc/$pid/cwd") // '';

	return $cwd =~ /^\Q$node->{data}\E/ || $pid == ($node->{pid} // 0);
}

sub kill_postmaster
{
	my ($self, $name, $signal) = @_;

	kill $signal // 'KILL', $self->postmaster_pid($name) // croak "$name does not run";
	return;
}

# Stops all processes of a node at one moment, some left out.  Returns them.
sub freeze
{
	my ($self, $name, @but) = @_;
	my $pid = $self->node($name)->{pid};
	my %left_out = map { $_ => 1 } @but;
	my @processes;

	# Those that were started meanwhile are caught by the second look.
	foreach (1 .. 2)
	{
		@processes = grep { !$left_out{$_} } process_tree($pid // ());
		kill 'STOP', @processes;
	}
	return @processes;
}

sub thaw
{
	my ($self, $name) = @_;

	kill 'CONT', process_tree($self->node($name)->{pid} // ());
	return;
}

# Kills all processes of a node at one moment, as a power failure would.
sub kill_all
{
	my ($self, $name) = @_;

	# Stopped first, none lives to see the others die.
	my @processes = $self->freeze($name);
	kill 'KILL', @processes;
	wait_until(
		sub {
			my $gone = !grep { -e "/proc/$_/cwd" } @processes;

			# One of ours is there as a zombie until it is asked for.
			$self->exit_status($name);
			my $pid = $self->node($name)->{pid};
			$gone && !(defined $pid && grep { $_ == $pid } @processes);
		});
	return;
}

# Leaves no room on the disk of a node, see the option "disk".
sub fill_disk
{
	my ($self, $name) = @_;
	my $path = $self->node($name)->{disk} . '/filler';

	open(my $file, '>', $path) or croak "could not write $path: $!";
	foreach my $size (1 << 20, 4096)
	{
		while (syswrite($file, "\0" x $size)) { }
	}
	close $file;
	return;
}

sub free_disk
{
	my ($self, $name) = @_;

	unlink $self->node($name)->{disk} . '/filler';
	return;
}

# A process of a node's server by what its title says.
sub process
{
	my ($self, $name, $title) = @_;

	foreach my $pid (process_tree($self->postmaster_pid($name) // ()))
	{
		return $pid if read_file("/proc/$pid/cmdline") =~ /^postgres: (\S+: )?\Q$title\E/;
	}
	return;
}

sub agent_pid { return $_[0]->process($_[1], 'pgcluster agent'); }

#-----------------------------------------------------------------------
# SQL
#-----------------------------------------------------------------------

# Of a node, or of the leader of a group when given a number.
sub conninfo
{
	my ($self, $name, $db) = @_;

	$name = $self->leader($name) // croak "group $name has no leader" if $name =~ /^-?\d+$/;
	my $node = $self->node($name);
	return "host=$self->{socket_dir} port=$node->{port} user=postgres dbname="
	  . ($db // 'postgres')
	  . ' connect_timeout=5';
}

# Runs psql on a node: (exit status, output, errors).  Options: db, and args
# (more arguments of psql).
sub try_sql
{
	my ($self, $name, $sql, %options) = @_;
	my $input = "$self->{dir}/psql.$$.in";

	write_file($input, $sql);
	return $self->try_run("$self->{bindir}/psql", '-XAtq', '-v', 'ON_ERROR_STOP=1',
		@{ $options{args} // [] }, '-d', $self->conninfo($name, $options{db}), '-f', $input);
}

# The same for what must succeed; returns the output without its last newline.
sub sql
{
	my ($self, $name, $sql, %options) = @_;
	my ($status, $out, $err) = $self->try_sql($name, $sql, %options);

	croak "on $name: $sql\n$err" if $status != 0;
	chomp $out;
	return $out;
}

# Waits until the query gives the answer.
sub poll
{
	my ($self, $name, $sql, $answer, $timeout) = @_;

	$answer //= 't';
	return wait_until(
		sub {
			my ($status, $out) = $self->try_sql($name, $sql);
			chomp $out;
			return $status == 0 && $out eq $answer;
		},
		$timeout);
}

# From here on commits on the node stand still, waiting for a standby that is
# not there; and go on.
sub hold_commits
{
	my ($self, $name) = @_;

	return $self->set_standby_names($name, "SET synchronous_standby_names = 'nobody'", 'nobody');
}

sub release_commits
{
	my ($self, $name) = @_;

	return $self->set_standby_names($name, 'RESET synchronous_standby_names', '');
}

# It is the checkpointer that tells sessions.  What it was sent before a
# checkpoint was asked for it has read when that has ended.
sub set_standby_names
{
	my ($self, $name, $change, $value) = @_;

	$self->sql($name, "ALTER SYSTEM $change");
	$self->sql($name, 'SELECT pg_reload_conf()');
	$self->poll($name, 'SHOW synchronous_standby_names', $value) or croak "$name did not read its settings";
	$self->sql($name, 'CHECKPOINT');
	return;
}

#-----------------------------------------------------------------------
# Processes and files
#-----------------------------------------------------------------------

# Starts a child with its output in a file; returns its pid.
sub spawn
{
	my ($self, $log, @command) = @_;
	my $pid = fork() // croak "could not fork: $!";

	return $pid if $pid;

	# Not in the terminal's group: Ctrl-C stops us, and we stop the servers.
	setsid();
	open(my $null, '<', '/dev/null') or POSIX::_exit(126);
	dup2(fileno($null), 0);
	open(my $file, '>>', $log) or POSIX::_exit(126);
	dup2(fileno($file), 1);
	dup2(fileno($file), 2);
	exec { $command[0] } @command or POSIX::_exit(127);
}

# Runs a command to its end: (exit status, output, errors).
sub try_run
{
	my ($self, @command) = @_;
	my ($out, $err) = map { "$self->{dir}/run.$$.$_" } qw(out err);
	my $pid = fork() // croak "could not fork: $!";

	if (!$pid)
	{
		open(STDIN, '<', '/dev/null') or POSIX::_exit(126);
		open(STDOUT, '>', $out) or POSIX::_exit(126);
		open(STDERR, '>', $err) or POSIX::_exit(126);
		no warnings 'exec';
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	waitpid($pid, 0);
	return ($?, read_file($out), read_file($err));
}

sub run
{
	my ($self, @command) = @_;
	my ($status, $out, $err) = $self->try_run(@command);

	croak "@command failed:\n$out$err" if $status != 0;
	return $out;
}

# A process and all that descend from it, parents first.
sub process_tree
{
	my (@roots) = @_;
	my %children;

	foreach my $stat (glob '/proc/[0-9]*/stat')
	{
		open(my $fh, '<', $stat) or next;
		my $line = <$fh> // next;
		# The name in parentheses may hold anything.
		next unless $line =~ /^(\d+) \(.*\) \S (\d+) /s;
		push @{ $children{$2} }, $1;
	}
	my @all = @roots;
	for (my $i = 0; $i < @all; $i++)
	{
		push @all, @{ $children{ $all[$i] } // [] };
	}
	return @all;
}

# Calls the function until it returns true; false when time is up.
sub wait_until
{
	my ($condition, $timeout) = @_;
	my $end = time() + ($timeout // $TIMEOUT);

	while (1)
	{
		return 1 if $condition->();
		return 0 if time() > $end;
		sleep(0.02);
	}
}

sub read_file
{
	my ($path) = @_;

	open(my $fh, '<', $path) or return '';
	local $/;
	return scalar(<$fh>) // '';
}

sub write_file
{
	my ($path, $text) = @_;

	open(my $fh, '>', $path) or croak "could not write $path: $!";
	print $fh $text;
	close $fh or croak "could not write $path: $!";
	return;
}

sub append_file
{
	my ($path, $text) = @_;

	open(my $fh, '>>', $path) or croak "could not write $path: $!";
	print $fh $text;
	close $fh or croak "could not write $path: $!";
	return;
}

sub tail
{
	my ($path, $lines) = @_;
	my @lines = split /^/, read_file($path);

	$lines //= 20;
	splice(@lines, 0, @lines - $lines) if @lines > $lines;
	return join '', @lines;
}

1;
