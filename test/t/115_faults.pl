# Everything that PgCluster::Scenario lets happen to a leader: no two members
# have writes acknowledged at one time, there is a leader again in time, and the
# old leader comes back by itself.
#
# PGCLUSTER_FAULTS="name ..." picks scenarios; 118_faults_quorum.pl runs all of
# them in synchronous mode.
use strict;
use warnings;

use PgCluster::Network;
my $network;
BEGIN { $network = PgCluster::Network::enter(); }

use PgCluster::Scenario;
use Test::More;

plan skip_all => PgCluster::Network::obstacle() unless $network;
PgCluster::Scenario::test_all(dcs => { ttl => 3 });
done_testing();
