# Everything that PgCluster::Scenario lets happen to a leader, in synchronous
# mode: what 115_faults.pl asserts, and no acknowledged row is ever lost.
use strict;
use warnings;

use PgCluster::Network;
my $network;
BEGIN { $network = PgCluster::Network::enter(); }

use PgCluster::Scenario;
use Test::More;

plan skip_all => PgCluster::Network::obstacle() unless $network;
PgCluster::Scenario::test_all(dcs => { ttl => 3 }, sync => 'quorum');
done_testing();
