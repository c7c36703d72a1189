package PgCluster::Scenario;

# What may happen to a leader, and what it must not cost.  Each scenario is
# defined here once; bench/failover measures them, test/t/115_faults.pl and
# test/t/118_faults_quorum.pl assert what must hold in every one.
#
# In each run a writer inserts rows through a connection string that names all
# members, and beside it a prober per member that talks to that member alone,
# from its own host: so two members that accept writes at the same time are
# seen even if the writer talks to one of them only.

use strict;
use warnings;

use Carp;
use JSON::PP;
use PgCluster;
use Test::More import => [qw(is isnt cmp_ok pass note)];
use Time::HiRes qw(sleep time);

# Room for the data and the WAL of a member, and not much more.
our $DISK = '1g';

# Fields of a scenario:
#	name, about
#	strike    what happens; is called with the run, see run()
#	lasts     true: it goes on for the run's "hold" seconds; otherwise until
#	          another member leads
#	mend      undoes it, where the old leader does not come back by itself
#	stays     true: nobody else takes over
#	any       true: the old leader may lead again, as well as another one
#	both      true: tested without synchronous replication too
#	random    true: no two runs are the same; tests run it when it is asked for
#	needs     network, disk or slow_etcd: options of the cluster
#	dcs       run-time settings of the group
#	prepare   waits until the members are ready for it
#	gap       the writer's gap that the tests allow, in seconds more than the
#	          ttl: several times what it takes, for busy machines.  Undefined
#	          where the writer has to wait for the end of the trouble
my @scenarios = (
	{
		name => 'switchover',
		about => 'SELECT cluster_switchover(): the lead is handed over',
		both => 1,
		strike => sub { $_[0]{c}->sql($_[0]{old}, 'SELECT cluster_switchover()') },
		gap => 5
	},
	{
		name => 'clean_stop',
		about => 'the leader is stopped in an orderly manner, and started when another one leads',
		both => 1,
		strike => sub { $_[0]{c}->stop_node($_[0]{old}) },
		mend => sub { $_[0]{c}->start_node($_[0]{old}) },
		gap => 10
	},
	{
		name => 'postmaster_kill',
		about => 'SIGKILL for the postmaster of the leader',
		both => 1,
		any => 1,
		strike => sub { $_[0]{c}->kill_postmaster($_[0]{old}) },
		gap => 10
	},
	{
		name => 'node_kill',
		about => 'SIGKILL for all processes of the leader, which is started when another one leads',
		both => 1,
		strike => sub { $_[0]{c}->kill_all($_[0]{old}) },
		mend => sub { $_[0]{c}->start_node($_[0]{old}) },
		gap => 10
	},
	{
		name => 'network_cut',
		about => 'nobody can reach the leader, nor it anybody, until another one leads',
		both => 1,
		needs => 'network',
		strike => sub { $_[0]{c}{network}->isolate($_[0]{old}) },
		mend => sub { $_[0]{c}{network}->heal($_[0]{old}) },
		gap => 12
	},
	{
		name => 'cut_from_etcd',
		about => 'the leader is cut off from etcd alone, until another one leads',
		both => 1,
		needs => 'network',
		strike => sub { $_[0]{c}{network}->cut_both_ways($_[0]{old}, $_[0]->etcds) },
		mend => sub { $_[0]{c}{network}->heal($_[0]{old}) },
		gap => 12
	},
	{
		name => 'refused_by_etcd',
		about => 'the leader is told at once that it cannot reach etcd, until another one leads',
		needs => 'network',
		strike => sub { $_[0]{c}{network}->refuse($_[0]{old}, $_[0]->etcds) },
		mend => sub { $_[0]{c}{network}->heal($_[0]{old}) },
		gap => 12
	},
	{
		name => 'cut_outwards',
		about => 'what the leader sends gets lost, until another one leads',
		needs => 'network',
		strike => sub { $_[0]{c}{network}->cut($_[0]{old}, $_[0]{c}{network}->others($_[0]{old})) },
		mend => sub { $_[0]{c}{network}->heal($_[0]{old}) },
		gap => 12
	},
	{
		name => 'cut_inwards',
		about => 'what is sent to the leader gets lost, until another one leads',
		needs => 'network',
		strike => sub {
			$_[0]{c}{network}->cut($_, $_[0]{old}) foreach $_[0]{c}{network}->others($_[0]{old});
		},
		mend => sub { $_[0]{c}{network}->heal($_[0]{old}) },
		gap => 12
	},
	{
		name => 'cut_from_standbys',
		about => 'the leader is cut off from its standbys alone, for a time',
		needs => 'network',
		lasts => 1,
		stays => 1,
		strike => sub { $_[0]{c}{network}->cut_both_ways($_[0]{old}, $_[0]->standbys) },
		mend => sub { $_[0]{c}{network}->heal($_[0]{old}) }
	},
	{
		name => 'etcd_member_kill',
		about => 'SIGKILL for the member of etcd that leads etcd, which comes back after a time',
		lasts => 1,
		stays => 1,
		strike => sub { $_[0]->kill_etcd($_[0]{c}{store}->raft_leader) },
		mend => sub { $_[0]->start_etcd },
		gap => 5
	},
	{
		name => 'etcd_member_stop',
		about => 'SIGSTOP for the member of etcd that leads etcd, for a time',
		lasts => 1,
		stays => 1,
		strike => sub {
			my ($run) = @_;
			my $store = $run->{c}{store};
			$run->{frozen} = $store->{members}[ $store->raft_leader ]{pid};
			kill 'STOP', $run->{frozen};
		},
		mend => sub { kill 'CONT', $_[0]{frozen} },
		gap => 5
	},
	{
		name => 'etcd_member_slow',
		about => 'a member of etcd answers after 3 s, for a time',
		needs => 'slow_etcd',
		lasts => 1,
		stays => 1,
		strike => sub { $_[0]{c}{store}->slow(1, 0) },
		mend => sub { $_[0]{c}{store}->slow(0, 0) },
		gap => 5
	},
	{
		name => 'etcd_slow',
		about => 'all of etcd answers after 3 s, for a time',
		needs => 'slow_etcd',
		lasts => 1,
		strike => sub { $_[0]{c}{store}->slow(1) },
		mend => sub { $_[0]{c}{store}->slow(0) }
	},
	{
		name => 'etcd_majority_kill',
		about => 'SIGKILL for two of three members of etcd, which come back after a time',
		lasts => 1,
		strike => sub { $_[0]->kill_etcd(0, 1) },
		mend => sub { $_[0]->start_etcd }
	},
	{
		name => 'etcd_outage',
		about => 'SIGKILL for all of etcd, which comes back after a time',
		lasts => 1,
		strike => sub { $_[0]->kill_etcd(0 .. 2) },
		mend => sub { $_[0]->start_etcd }
	},
	{
		name => 'etcd_outage_failsafe',
		about => 'SIGKILL for all of etcd, which comes back after a time, with failsafe_mode on',
		needs => 'network',
		dcs => { failsafe_mode => JSON::PP::true },
		prepare => sub { $_[0]->wait_failsafe },
		lasts => 1,
		stays => 1,
		strike => sub { $_[0]->kill_etcd(0 .. 2) },
		mend => sub { $_[0]->start_etcd },
		gap => -1
	},
	{
		name => 'agent_kill',
		about => 'SIGKILL for the agent of the leader',
		stays => 1,
		strike => sub { kill 'KILL', $_[0]{c}->agent_pid($_[0]{old}) },
		gap => 5
	},
	{
		name => 'agent_stop',
		about => 'SIGSTOP for the agent of the leader, for a time',
		both => 1,
		lasts => 1,
		strike => sub { $_[0]{agent} = $_[0]{c}->agent_pid($_[0]{old}); kill 'STOP', $_[0]{agent} },
		mend => sub { kill 'CONT', $_[0]{agent} },
		gap => 10
	},
	{
		name => 'everything_stop',
		about => 'SIGSTOP for all processes of the leader, for a time',
		both => 1,
		lasts => 1,
		strike => sub { $_[0]{c}->freeze($_[0]{old}) },
		mend => sub { $_[0]{c}->thaw($_[0]{old}) },
		gap => 12
	},
	{
		name => 'postmaster_stop',
		about => 'SIGSTOP for the postmaster of the leader, for a time',
		both => 1,
		lasts => 1,
		strike => sub {
			$_[0]{postmaster} = $_[0]{c}->postmaster_pid($_[0]{old});
			kill 'STOP', $_[0]{postmaster};
		},
		mend => sub { kill 'CONT', $_[0]{postmaster} },
		gap => 20
	},
	{
		name => 'all_but_agent_stop',
		about => 'SIGSTOP for all processes of the leader but its agent, for a time',
		both => 1,
		lasts => 1,
		strike => sub { $_[0]{c}->freeze($_[0]{old}, $_[0]{c}->agent_pid($_[0]{old})) },
		mend => sub { $_[0]{c}->thaw($_[0]{old}) },
		gap => 20
	},
	{
		name => 'disk_full',
		about => 'the disk of the leader is full, until another one leads',
		both => 1,
		needs => 'disk',
		strike => sub { $_[0]{c}->fill_disk($_[0]{old}) },
		mend => sub { $_[0]{c}->free_disk($_[0]{old}) },
		gap => 20
	},
	{
		name => 'promotion_kill',
		about => 'the leader is killed, and the next one while it is promoted',
		any => 1,
		strike => sub {
			my ($run) = @_;
			my $c = $run->{c};
			# A promotion ends when the startup process does.
			my @startup = map { $c->process($_, 'startup') } $run->standbys;
			kill 'STOP', @startup;
			$c->kill_all($run->{old});
			$run->{next} = $run->wait_lease;
			$c->kill_all($run->{next});
			kill 'CONT', @startup;
			$c->start_node($run->{old});
		},
		mend => sub { $_[0]{c}->start_node($_[0]{next}) },
		gap => 25
	},
	{
		name => 'rewind_kill',
		about => 'the leader is killed with rows that nobody else has, and again while it is rewound',
		both => 1,
		strike => sub {
			my ($run) = @_;
			$run->diverge;
			$run->{c}->kill_all($run->{old});
		},
		mend => sub { $_[0]->restart_killed('pgcluster.rewinding') },
		gap => 10
	},
	{
		name => 'clone_kill',
		about => 'the leader is killed and loses its data, and is killed again while it is cloned',
		strike => sub { $_[0]{c}->kill_all($_[0]{old}) },
		mend => sub { $_[0]->lose_data; $_[0]->restart_killed('pgcluster.new') },
		gap => 10
	},
	{
		name => 'node_and_etcd_kill',
		about => 'SIGKILL for all processes of the leader and for a member of etcd',
		strike => sub { $_[0]->kill_etcd($_[0]{c}{store}->raft_leader); $_[0]{c}->kill_all($_[0]{old}) },
		mend => sub { $_[0]->start_etcd; $_[0]{c}->start_node($_[0]{old}) },
		gap => 15
	},
	{
		name => 'two_nodes_kill',
		about => 'SIGKILL for all processes of the leader and of a standby, which is started at once',
		strike => sub {
			my ($run) = @_;
			my ($standby) = $run->standbys;
			$run->{c}->kill_all($_) foreach $run->{old}, $standby;
			$run->{c}->start_node($standby);
		},
		mend => sub { $_[0]{c}->start_node($_[0]{old}) },
		gap => 15
	},
	{
		name => 'network_cut_and_standby_stop',
		about => 'nobody can reach the leader, and a standby is stopped by SIGSTOP for a moment',
		needs => 'network',
		strike => sub {
			my ($run) = @_;
			my ($standby) = $run->standbys;
			$run->{c}->freeze($standby);
			$run->{c}{network}->isolate($run->{old});
			sleep($run->{ttl} / 2);
			$run->{c}->thaw($standby);
		},
		mend => sub { $_[0]{c}{network}->heal($_[0]{old}) },
		gap => 15
	},
	{
		name => 'network_blip',
		about => 'nobody can reach the leader, nor it anybody, for less than the lease lasts',
		needs => 'network',
		stays => 1,
		strike => sub { $_[0]{c}{network}->isolate($_[0]{old}); sleep($_[0]{ttl} / 3) },
		mend => sub { $_[0]{c}{network}->heal($_[0]{old}) },
		gap => 5
	},
	{
		name => 'storm',
		about => 'ten faults of members and of etcd at random, up to two at a time',
		needs => 'network',
		any => 1,
		random => 1,
		strike => sub { $_[0]->storm }
	});

sub all { return @scenarios; }

sub find
{
	my ($name) = @_;

	return (grep { $_->{name} eq $name } @scenarios)[0];
}

# Runs a scenario once, in group 0 of a cluster that is ready.  Options:
#	hold      for how long a fault that "lasts" goes on; ttl + 3 s by default
# Returns {old, new, rows, gap, lost, overlap, back}: names of members; how many
# rows the writer wrote, and its gap (s); acknowledged rows, of the probers too,
# that are missing; the time in which two members had rows acknowledged (s); and
# the time that the old leader took to stream again from when it was mended (s).
sub run
{
	my ($c, $scenario, %options) = @_;
	my $ttl = $c->{dcs}{ttl} // 5;
	my $run = bless {
		c => $c,
		ttl => $ttl,
		hold => $ttl + 3,
		%options,
		old => $c->wait_ready(0)
	}, __PACKAGE__;

	$c->configure(0, %{ $scenario->{dcs} // {} });
	$scenario->{prepare}->($run) if $scenario->{prepare};
	$run->start_writers;
	my $start = time();
	$scenario->{strike}->($run);
	$run->{new} = $scenario->{stays} ? $run->{old} : undef;
	$run->{new} //= $c->new_leader(0, $scenario->{any} ? undef : $run->{old}) if defined $scenario->{gap};
	if ($scenario->{lasts})
	{
		my $left = $start + $run->{hold} - time();
		sleep($left) if $left > 0;
	}

	my $back = $scenario->{mend} ? time() : $start;
	$scenario->{mend}->($run) if $scenario->{mend};
	$run->{new} //= $c->new_leader(0);
	if ($run->{new} ne $run->{old})
	{
		$c->wait_streaming($run->{old});
		$back = time() - $back;
	}
	else
	{
		$back = 0;
	}
	return $run->count($start, $back);
}

# Asserts what must hold in all scenarios, with Test::More; options as those of
# a cluster.
sub test_all
{
	my (%options) = @_;
	my $c = PgCluster->new(
		groups => { 0 => 3 },
		etcd => 3,
		network => 1,
		disk => $DISK,
		slow_etcd => 1,
		%options);
	my %picked = map { $_ => 1 } split ' ', $ENV{PGCLUSTER_FAULTS} // '';

	$c->start;
	foreach my $scenario (grep { %picked ? $picked{ $_->{name} } : is_tested($_, $c->{sync}) } @scenarios)
	{
		test_one($c, $scenario);
	}
	$c->stop;
	return;
}

sub is_tested
{
	my ($scenario, $sync) = @_;

	return !$scenario->{random} && ($scenario->{both} || $sync ne 'off');
}

sub test_one
{
	my ($c, $scenario) = @_;
	my $name = $scenario->{name};
	my $r = run($c, $scenario);

	is($r->{overlap}, 0, "$name: no two members had writes acknowledged at one time");
	is($r->{lost}, 0, "$name: none of $r->{rows} acknowledged rows is missing") if $c->{sync} ne 'off';
	if (!defined $scenario->{gap} || $scenario->{any})
	{
		pass("$name: $r->{new} leads");
	}
	elsif ($scenario->{stays})
	{
		is($r->{new}, $r->{old}, "$name: nobody else leads");
	}
	else
	{
		isnt($r->{new}, $r->{old}, "$name: another member leads");
	}
	cmp_ok($r->{gap}, '<', $c->{dcs}{ttl} + $scenario->{gap}, "$name: the writer goes on in time")
	  if defined $scenario->{gap};
	note(sprintf 'gap %.2f s, lost %d, back after %.2f s', @$r{qw(gap lost back)});
	return;
}

sub start_writers
{
	my ($run) = @_;
	my $c = $run->{c};

	$c->sql(0, 'CREATE TABLE IF NOT EXISTS probe (id bigint, port int)');
	$c->sql(0, 'TRUNCATE probe');
	$run->{writer} = $c->hardy_writer(0);
	foreach my $name ($c->members(0))
	{
		push @{ $run->{probes} },
		  PgCluster::Writer->start(
			program => "$c->{bindir}/psql",
			conninfo => $c->conninfo($name) . " options='-c log_min_messages=fatal'",
			record => "$c->{dir}/probe-$name-" . ++$c->{probes},
			rate => 20,
			patient => 1,
			epochs => 1,
			table => 'probe');
	}
	PgCluster::wait_until(
		sub {
			$run->{writer}->acknowledged > 50 && grep { $_->acknowledged > 10 } @{ $run->{probes} };
		}) or croak 'the writers do not write';
	return;
}

# What the writers tell when they have gone on for a while with the leader.
sub count
{
	my ($run, $start, $back) = @_;
	my $c = $run->{c};
	my $leader = $c->wait_ready(0);
	my $port = $c->node($leader)->{port};
	my $since = time();

	PgCluster::wait_until(
		sub {
			my @rows = $run->{writer}->acknowledged;
			return $rows[-1]{port} == $port && $rows[-1]{at} > $since + 0.5;
		}) or croak "the writer does not go on with $leader";

	my @rows = $run->{writer}->stop;
	my @probed = map { $_->stop } @{ $run->{probes} };
	my @lost = ($c->lost_rows(0, $run->{writer}, @rows), $c->lost_rows(0, $run->{probes}[0], @probed));
	return {
		old => $run->{old},
		new => $leader,
		rows => scalar @rows,
		gap => PgCluster::Writer::longest_gap($start, @rows),
		lost => scalar @lost,
		overlap => PgCluster::Writer::overlap(@rows, @probed),
		back => $back
	};
}

#-----------------------------------------------------------------------
# Pieces of scenarios
#-----------------------------------------------------------------------

sub standbys
{
	my ($run) = @_;

	return grep { $_ ne $run->{old} } $run->{c}->members(0);
}

sub etcds { return map { $_->{name} } @{ $_[0]{c}{store}{members} }; }

sub kill_etcd
{
	my ($run, @numbers) = @_;

	$run->{c}{store}->stop_member($_, 'KILL') foreach @numbers;
	$run->{dead} = \@numbers;
	return;
}

sub start_etcd
{
	my ($run) = @_;
	my $store = $run->{c}{store};

	$store->start_member($_) foreach @{ $run->{dead} };
	PgCluster::wait_until(sub { $store->healthy }) or croak 'etcd did not come back';
	return;
}

# Waits until all members are listed that have to confirm a leader without
# etcd, and each of them has run for long enough to do so.
sub wait_failsafe
{
	my ($run) = @_;
	my $c = $run->{c};
	my $all = join ',', sort $c->members(0);

	PgCluster::wait_until(
		sub {
			my $key = $c->{store}->get($c->key(0, 'failsafe'));
			return defined $key && join(',', sort keys %{ decode_json($key) }) eq $all
			  && !grep { $c->sql($_, "SELECT now() < pg_postmaster_start_time() + interval '$run->{ttl} s' + interval '2 s'") eq 't' }
			  $c->members(0);
		}) or croak 'the failsafe key does not name all members';
	return;
}

# Waits until somebody else holds the lease, ready to write or not.
sub wait_lease
{
	my ($run) = @_;
	my $holder;

	PgCluster::wait_until(
		sub {
			$holder = $run->{c}->leader(0);
			return defined $holder && $holder ne $run->{old};
		}) or croak 'nobody took the lease';
	return $holder;
}

# The leader writes what its standbys do not get; less than what forbids them to
# lead (maximum_lag_on_failover).
sub diverge
{
	my ($run) = @_;
	my $c = $run->{c};

	kill 'STOP', split /\n/, $c->sql($run->{old}, 'SELECT pid FROM pg_stat_replication');
	$c->sql($run->{old}, 'SET synchronous_commit = local; CREATE TABLE diverged AS SELECT generate_series(1, 1000)');
	return;
}

# What the storm is made of: name, and what it does to a host and undoes.
my %member_faults = (
	node_kill => [ sub { $_[0]->kill_all($_[1]) }, sub { } ],
	postmaster_kill => [ sub { kill 'KILL', $_[0]->postmaster_pid($_[1]) // () }, sub { } ],
	agent_kill => [ sub { kill 'KILL', $_[0]->agent_pid($_[1]) // () }, sub { } ],
	agent_stop => [ sub { kill 'STOP', $_[0]->agent_pid($_[1]) // () }, sub { $_[0]->thaw($_[1]) } ],
	everything_stop => [ sub { $_[0]->freeze($_[1]) }, sub { $_[0]->thaw($_[1]) } ],
	network_cut => [ sub { $_[0]{network}->isolate($_[1]) }, sub { $_[0]{network}->heal($_[1]) } ],
	cut_outwards => [
		sub { $_[0]{network}->cut($_[1], $_[0]{network}->others($_[1])) },
		sub { $_[0]{network}->heal($_[1]) }
	],
	cut_from_etcd => [
		sub { $_[0]{network}->cut_both_ways($_[1], map { $_->{name} } @{ $_[0]{store}{members} }) },
		sub { $_[0]{network}->heal($_[1]) }
	],
	cut_from_members => [
		sub { my ($c, $name) = @_; $c->{network}->cut_both_ways($name, grep { $_ ne $name } $c->members(0)) },
		sub { $_[0]{network}->heal($_[1]) }
	]);
my %etcd_faults = (
	etcd_kill => [ sub { $_[0]{store}->stop_member($_[1], 'KILL') }, sub { $_[0]{store}->start_member($_[1]) } ],
	etcd_stop => [
		sub { kill 'STOP', $_[0]{store}{members}[ $_[1] ]{pid} },
		sub { kill 'CONT', $_[0]{store}{members}[ $_[1] ]{pid} }
	],
	etcd_cut => [
		sub { $_[0]{network}->isolate($_[0]{store}{members}[ $_[1] ]{name}) },
		sub { $_[0]{network}->heal($_[0]{store}{members}[ $_[1] ]{name}) }
	]);

# PGCLUSTER_STORM says which one, PGCLUSTER_STORM_FAULTS how many faults.
sub storm
{
	my ($run) = @_;
	my $c = $run->{c};
	my $seed = $ENV{PGCLUSTER_STORM} || int(rand(1_000_000));
	my @under_way;
	my $start = time();
	my $pick = sub { $_[ int(rand(@_)) ] };
	my $mend = sub {
		my ($host, $fault) = @{ shift @under_way };
		note(sprintf '%.1f s: the end of it for %s', time() - $start, $host);
		$fault->[1]->($c, $host);
		$c->start_node($host) if $host !~ /^\d+$/ && defined $c->exit_status($host);
	};

	note("PGCLUSTER_STORM=$seed");
	srand($seed);
	foreach (1 .. $ENV{PGCLUSTER_STORM_FAULTS} || 10)
	{
		my %struck = map { $_->[0] => 1 } @under_way;
		my $host = $pick->(grep { !$struck{$_} } $c->members(0), 0 .. $#{ $c->{store}{members} });
		my $faults = $host =~ /^\d+$/ ? \%etcd_faults : \%member_faults;
		my $name = $pick->(sort keys %$faults);

		note(sprintf '%.1f s: %s for %s', time() - $start, $name, $host);
		$faults->{$name}[0]->($c, $host);
		push @under_way, [ $host, $faults->{$name} ];
		sleep(rand($run->{ttl}));
		$mend->() while @under_way > int(rand(3));
	}
	$mend->() while @under_way;
	return;
}

sub lose_data
{
	my ($run) = @_;
	my $data = $run->{c}->node($run->{old})->{data};

	system('find', $data, '-mindepth', '1', '-delete') == 0 or croak "could not empty $data";
	return;
}

# Starts the old leader, kills it when a file appears in its data directory,
# and starts it again.
sub restart_killed
{
	my ($run, $file) = @_;
	my $c = $run->{c};
	my $path = $c->node($run->{old})->{data} . "/$file";

	$c->start_node($run->{old});
	PgCluster::wait_until(sub { -e $path }) or croak "there was never a file $path";
	$c->kill_all($run->{old});
	$c->start_node($run->{old});
	return;
}

1;
