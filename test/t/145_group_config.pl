# The settings of a group are read and changed by SQL, on any member, and what
# makes no sense is refused.
use strict;
use warnings;

use PgCluster;
use Test::More;

my $c = PgCluster->new(groups => { 0 => 2, 1 => 1 });
$c->start;
my $leader = $c->leader(0);
my ($standby) = grep { $_ ne $leader } $c->members(0);

# [group, query, expected answer, where]
sub is_sql
{
	my ($name, $sql, $expected, $what) = @_;

	is($c->sql($name, $sql), $expected, $what);
	return;
}

sub refused
{
	my ($name, $sql, $state, $pattern, $what) = @_;
	my ($status, undef, $err) = $c->try_sql($name, $sql, args => [ '-v', 'VERBOSITY=verbose' ]);

	isnt($status, 0, "$what: refused");
	like($err, qr/$state: .*$pattern/s, "$what: why");
	return;
}

is_sql($leader, "SELECT cluster_config()->>'ttl'", '5', 'the configuration is shown');
is_sql($standby, "SELECT cluster_set_config('{\"loop_wait\": 7}')->>'loop_wait'", '7', 'a standby changes it');
ok($c->poll($leader, "SELECT cluster_config()->>'loop_wait'", '7'), 'the leader has it');
is_sql($leader, q{SELECT cluster_set_config('{"loop_wait": null}') ? 'loop_wait'}, 'f', 'null removes');
is_sql($leader, q{SELECT cluster_set_config('{}') = cluster_set_config('{"ttl": 5}')}, 't', 'no change is none');
my (undef, undef, $notice) = $c->try_sql($leader, q{SELECT cluster_set_config('{"colour": "red", "postgresql": {"taste": 1}}')});
like($notice, qr/mean nothing to pgcluster: colour, postgresql\.taste/, 'unknown keys are kept with a notice');
is_sql($leader, "SELECT cluster_config()->>'colour'", 'red', 'and kept');

refused($leader, q{SELECT cluster_set_config('{"ttl": 1}')}, '22023', 'between 2 and 86400', 'out of bounds');
refused($leader, q{SELECT cluster_set_config('{"pause": "perhaps"}')}, '22023', 'true or false', 'of a wrong type');
refused($leader, q{SELECT cluster_set_config('[1]')}, '22023', 'not a JSON object', 'no object');
refused($leader, q{SELECT cluster_set_config('{"postgresql": {"pg_hba": []}}')}, '22023', 'cannot be set for the group', 'pg_hba');
is_sql($leader, "SELECT cluster_config()->>'ttl'", '5', 'nothing of it was stored');

# The coordinator does it for other groups; these only for themselves.
is_sql($leader, "SELECT cluster_set_config('{\"loop_wait\": 9}', 1)->>'loop_wait'", '9', 'another group');
is_sql($standby, "SELECT cluster_config(1)->>'loop_wait'", '9', 'is shown');
refused('w1a', q{SELECT cluster_set_config('{"ttl": 7}', 0)}, '55000', 'knows of group 1 only', 'a worker and another group');
refused($leader, q{SELECT cluster_set_config('{"ttl": 7}', 5)}, '42704', 'there is no group 5', 'no such group');

# Many at a time: each is there afterwards, none was lost.
my @pids = map {
	my $n = $_;
	$c->spawn("$c->{dir}/patch$n", "$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo($n % 2 ? $leader : $standby), '-c',
		"SELECT cluster_set_config('{\"own$n\": $n}')")
} 1 .. 6;
waitpid($_, 0) foreach @pids;
is_sql($leader, q{SELECT count(*) FROM generate_series(1, 6) n WHERE cluster_config(0)->>('own' || n) = n::text}, '6', 'six changes at one time');

# The agent dies while it is asked: the change is made once, or not at all.
my $pid = $c->spawn("$c->{dir}/patch7", "$c->{bindir}/psql", '-XAtq', '-d', $c->conninfo($standby), '-c',
	"SELECT cluster_set_config('{\"own7\": 7}')");
kill 'TERM', $c->agent_pid($standby) // ();
waitpid($pid, 0);
is($? == 0 ? 1 : 0, $c->sql($leader, q{SELECT count(*) FROM cluster_config() c WHERE c ? 'own7'}), 'an agent that ends meanwhile');

$c->stop;
done_testing();
