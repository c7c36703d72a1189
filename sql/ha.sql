-- High availability as far as a server alone can show it: the rules, and what
-- the functions say when high availability is off.
CREATE EXTENSION pgcluster;

-- by which rules a member decides
SELECT role, lease, condition, action, reason FROM pgcluster.ha_rules() ORDER BY rule;

-- the rules end with one that fits everything
SELECT count(*) FROM pgcluster.ha_rules() WHERE condition IS NULL AND role = 'any' AND lease = 'any';

-- without etcd there is no agent, no lease and no fence
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgcluster agent';
SELECT group_id, member = current_setting('pgcluster.node_name') AS self, host IS NOT NULL AS host,
       port = current_setting('port')::int AS port, role, state, timeline, lag_bytes, tags,
       pending_restart
  FROM cluster_status();
SELECT * FROM cluster_leader();
SELECT * FROM cluster_leader(7);
SELECT * FROM cluster_lease();
SELECT * FROM cluster_events();
SELECT * FROM cluster_history();
SELECT check_name, ok, detail, hint FROM cluster_check();
CREATE TABLE ha_fence (a int);
INSERT INTO ha_fence VALUES (1);
BEGIN;
INSERT INTO ha_fence VALUES (2);
PREPARE TRANSACTION 'ha_fence';
COMMIT PREPARED 'ha_fence';
SELECT * FROM ha_fence ORDER BY a;
DROP TABLE ha_fence;

-- what changes the cluster needs it
SELECT cluster_switchover();
SELECT cluster_switchover('nobody', 0);
SELECT cluster_switchover(repeat('x', 64));
SELECT cluster_switchover(at => '2001-01-01');
SELECT cluster_failover('nobody');
SELECT cluster_failover(NULL);
SELECT cluster_cancel_switchover();
SELECT cluster_config();
SELECT cluster_config(3);
SELECT cluster_set_config('{"ttl": 7}');
SELECT cluster_set_config(NULL);
SELECT cluster_pause();
SELECT cluster_resume();
SELECT cluster_reload('nobody');
SELECT cluster_restart('nobody');
SELECT cluster_restart(NULL);
SELECT cluster_restart('nobody', at => '2001-01-01');
SELECT cluster_restart('nobody', only_role => 'king');
SELECT cluster_cancel_restart('nobody');
SELECT cluster_reinitialize('nobody');

-- who may call what
SELECT p.oid::regprocedure AS function,
       has_function_privilege('pg_monitor', p.oid, 'EXECUTE') AS monitor,
       EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                WHERE a.grantee = 0) AS public
  FROM pg_proc p
 WHERE p.proname IN ('cluster_status', 'cluster_leader', 'cluster_lease', 'cluster_events',
                     'cluster_check', 'cluster_switchover', 'cluster_failover',
                     'cluster_cancel_switchover', 'cluster_config', 'cluster_set_config',
                     'cluster_pause', 'cluster_resume', 'cluster_reload', 'cluster_restart',
                     'cluster_cancel_restart', 'cluster_reinitialize', 'cluster_history', 'ha_rules')
 ORDER BY p.proname;
DROP EXTENSION pgcluster;
