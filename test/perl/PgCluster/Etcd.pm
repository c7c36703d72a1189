package PgCluster::Etcd;

# One or more members of a real etcd, with their data in a directory of the
# cluster's.  Keys are read and written through the JSON
# gateway, so no etcdctl is needed.

use strict;
use warnings;

use Carp;
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64;
use POSIX qw(:sys_wait_h);

sub new
{
	my ($class, $cluster, $count) = @_;
	my $self = bless { cluster => $cluster, members => [] }, $class;

	foreach my $i (1 .. $count)
	{
		push @{ $self->{members} },
		  {
			name => "etcd$i",
			address => $cluster->{network} ? $cluster->{network}->add_host("etcd$i") : '127.0.0.1',
			client => PgCluster::free_port(),
			peer => PgCluster::free_port(),
			data => "$cluster->{dir}/etcd$i",
			log => "$cluster->{dir}/etcd$i.log"
		  };
		# The members of groups come through a proxy.
		my $m = $self->{members}[-1];
		$m->{own} = $cluster->{slow_etcd} ? PgCluster::free_port() : $m->{client};
	}
	return $self;
}

sub endpoints
{
	my ($self) = @_;

	return join ',', map { "$_->{address}:$_->{client}" } @{ $self->{members} };
}

sub start
{
	my ($self) = @_;

	$self->start_member($_) foreach 0 .. $#{ $self->{members} };
	$self->start_proxies if $self->{cluster}{slow_etcd};
	PgCluster::wait_until(sub { $self->healthy })
	  or croak "etcd did not start, see $self->{members}[0]{log}";
	return;
}

sub start_proxies
{
	my ($self) = @_;
	my $cluster = $self->{cluster};

	foreach my $m (@{ $self->{members} })
	{
		$m->{proxy} //= PgCluster::Proxy->start(
			$cluster, $m->{own},
			port => $m->{client},
			address => $m->{address},
			before => [ $cluster->on_host($m->{name}) ]);
	}
	return;
}

sub start_member
{
	my ($self, $i) = @_;
	my $m = $self->{members}[$i];
	my $initial = join ',', map { "$_->{name}=http://$_->{address}:$_->{peer}" } @{ $self->{members} };

	$m->{pid} = $self->{cluster}->spawn(
		$m->{log}, $self->{cluster}->on_host($m->{name}), '/usr/bin/env', 'etcd',
		'--name' => $m->{name},
		'--data-dir' => $m->{data},
		'--listen-client-urls' => "http://$m->{address}:$m->{own}",
		'--advertise-client-urls' => "http://$m->{address}:$m->{own}",
		'--listen-peer-urls' => "http://$m->{address}:$m->{peer}",
		'--initial-advertise-peer-urls' => "http://$m->{address}:$m->{peer}",
		'--initial-cluster' => $initial,
		'--initial-cluster-state' => 'new',
		'--logger' => 'zap',
		'--log-level' => 'warn');
	return;
}

sub stop_member
{
	my ($self, $i, $signal) = @_;
	my $m = $self->{members}[$i];

	return unless defined $m->{pid};
	kill 'CONT', $m->{pid};
	kill $signal // 'TERM', $m->{pid};
	waitpid($m->{pid}, 0);
	delete $m->{pid};
	return;
}

sub stop
{
	my ($self, $signal) = @_;

	$self->stop_member($_, $signal) foreach 0 .. $#{ $self->{members} };
	return;
}

sub destroy
{
	my ($self) = @_;

	$self->stop('KILL');
	$_->stop foreach map { $_->{proxy} // () } @{ $self->{members} };
	return;
}

# From now on all answers to the members of groups take 3 seconds, or those of
# one member of etcd.
sub slow
{
	my ($self, $slow, $i) = @_;

	$_->{proxy}->slow($slow) foreach defined $i ? $self->{members}[$i] : @{ $self->{members} };
	return;
}

# The number of the member that leads etcd.
sub raft_leader
{
	my ($self) = @_;
	my $http = HTTP::Tiny->new(timeout => 3);

	foreach my $i (0 .. $#{ $self->{members} })
	{
		my $m = $self->{members}[$i];
		my $answer = $http->post("http://$m->{address}:$m->{own}/v3/maintenance/status", { content => '{}' });
		next unless $answer->{success};
		my $status = decode_json($answer->{content});
		return $i if $status->{leader} eq $status->{header}{member_id};
	}
	croak 'nobody leads etcd';
}

# Sends a signal (STOP, CONT, ...) to all members.
sub signal
{
	my ($self, $signal) = @_;

	kill $signal, map { $_->{pid} // () } @{ $self->{members} };
	return;
}

# Asks the members in turn; the decoded answer of the first that has one.
sub ask
{
	my ($self, $path, $body) = @_;
	my $http = HTTP::Tiny->new(timeout => 3);

	foreach my $m (@{ $self->{members} })
	{
		next unless defined $m->{pid};
		my $answer = $http->post("http://$m->{address}:$m->{own}/v3/$path",
			{ content => encode_json($body) });
		return decode_json($answer->{content}) if $answer->{success};
	}
	return;
}

sub healthy
{
	my ($self) = @_;

	return defined $self->ask('kv/range', { key => encode_base64('health', '') });
}

# Does this one member answer, for all of them?
sub member_healthy
{
	my ($self, $i) = @_;
	my $http = HTTP::Tiny->new(timeout => 3);

	return $http->post("http://$self->{members}[$i]{address}:$self->{members}[$i]{own}/v3/kv/range",
		{ content => encode_json({ key => encode_base64('health', '') }) })->{success};
}

# Value of a key, undef when it is not there.
sub get
{
	my ($self, $key) = @_;
	my $answer = $self->ask('kv/range', { key => encode_base64($key, '') }) or return;

	return $answer->{kvs} ? decode_base64($answer->{kvs}[0]{value} // '') : undef;
}

sub put
{
	my ($self, $key, $value) = @_;

	$self->ask('kv/put', { key => encode_base64($key, ''), value => encode_base64($value, '') })
	  or croak "could not put $key into etcd";
	return;
}

sub delete_key
{
	my ($self, $key) = @_;

	$self->ask('kv/deleterange', { key => encode_base64($key, '') })
	  or croak "could not delete $key from etcd";
	return;
}

1;
