# What happens to leaders by PgCluster::Scenario, without synchronous
# replication: no two members have writes acknowledged at one time, there is a
# leader again in time, and the old leader comes back by itself.  These are those
# where it makes a difference; 118_faults_quorum.pl runs them all.
#
# PGCLUSTER_FAULTS="name ..." picks scenarios.
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
