# Two hundred short histories of random transactions, while sessions are ended
# and servers killed: nothing is lost, twice, or seen of what failed, and no
# anomaly that the isolation level forbids.

use strict;
use warnings;

use PgCluster;
use PgCluster::Histories;
use Test::More;

my $seed = $ENV{PGCLUSTER_TEST_SEED} || 1 + int rand 1_000_000;
note "PGCLUSTER_TEST_SEED=$seed";

my $c = PgCluster->new(workers => 2, config => "deadlock_timeout = '100ms'\n");
$c->start;
my $h = PgCluster::Histories->new($c, seed => $seed, most => 200);

my %faults = (
	30 => sub { $h->kill_session('w1') },
	70 => sub { $h->kill_session('c') },
	110 => sub { $h->kill_node('w2') },
	150 => sub { $h->kill_node('c') },
	map { my $n = $_; ($n * 10 + 5 => sub { $h->end_sessions($n % 2 ? 'c' : 'w1') }) } 0 .. 19);

$h->run($faults{$_}) foreach 0 .. 199;
is(join("\n", $h->check), '', 'no history has an anomaly');
my %count = %{ $h->{count} };
note join ', ', map { "$count{$_} $_" } sort keys %count;
note join ', ', map { "$h->{errors}{$_} $_" } sort keys %{ $h->{errors} };
cmp_ok($count{ok}, '>', 1600, 'most transactions were committed');
ok($c->poll($_, 'SELECT count(*) = 0 FROM pg_prepared_xacts'), "nothing is prepared on $_") foreach qw(w1 w2);

done_testing();
