/* pgcluster: the whole definition, in the order of src/ */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pgcluster" to load this file. \quit

CREATE SCHEMA pgcluster;
COMMENT ON SCHEMA pgcluster IS 'catalogs and internals of pgcluster';
GRANT USAGE ON SCHEMA pgcluster TO PUBLIC;

------------------------------------------------------------------------
-- ha
------------------------------------------------------------------------

CREATE FUNCTION pg_catalog.cluster_status(
    OUT group_id integer, OUT member text, OUT host text, OUT port integer, OUT role text,
    OUT state text, OUT timeline integer, OUT lag_bytes bigint, OUT tags jsonb,
    OUT pending_restart boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION pg_catalog.cluster_status() IS 'members of the cluster, as last seen in etcd';
REVOKE ALL ON FUNCTION pg_catalog.cluster_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_status() TO pg_monitor;

CREATE FUNCTION pg_catalog.cluster_leader(
    wanted_group_id integer DEFAULT NULL, OUT group_id integer, OUT member text, OUT host text,
    OUT port integer, OUT epoch bigint)
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION pg_catalog.cluster_leader(integer) IS 'leader of a group, by default of the own; NULL when there is none just now';
REVOKE ALL ON FUNCTION pg_catalog.cluster_leader(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_leader(integer) TO pg_monitor;

CREATE FUNCTION pg_catalog.cluster_lease(
    OUT holder text, OUT epoch bigint, OUT held boolean, OUT fenced boolean,
    OUT expires_in interval, OUT ttl interval)
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION pg_catalog.cluster_lease() IS 'who holds the lease of this group, and whether this server may commit';
REVOKE ALL ON FUNCTION pg_catalog.cluster_lease() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_lease() TO pg_monitor;

CREATE FUNCTION pg_catalog.cluster_events(OUT at timestamptz, OUT decision text, OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION pg_catalog.cluster_events() IS 'what this member decided since its server started, and why; the latest 200';
REVOKE ALL ON FUNCTION pg_catalog.cluster_events() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_events() TO pg_monitor;

CREATE FUNCTION pg_catalog.cluster_check(
    OUT check_name text, OUT ok boolean, OUT detail text, OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION pg_catalog.cluster_check() IS 'whether this server is set up right for the cluster';
REVOKE ALL ON FUNCTION pg_catalog.cluster_check() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_check() TO pg_monitor;

CREATE FUNCTION pg_catalog.cluster_switchover(
    candidate text DEFAULT NULL, group_id integer DEFAULT NULL, at timestamptz DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_switchover(text, integer, timestamptz) IS 'hands leadership of a group to the candidate, by default the best; returns the next leader';
REVOKE ALL ON FUNCTION pg_catalog.cluster_switchover(text, integer, timestamptz) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_failover(candidate text, group_id integer DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_failover(text, integer) IS 'makes the candidate lead its group, be there a leader or not; returns the next leader';
REVOKE ALL ON FUNCTION pg_catalog.cluster_failover(text, integer) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_cancel_switchover(group_id integer DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_cancel_switchover(integer) IS 'cancels a switchover that is planned for a later time';
REVOKE ALL ON FUNCTION pg_catalog.cluster_cancel_switchover(integer) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_config(group_id integer DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_config(integer) IS 'settings of a group, as they stand in etcd';
REVOKE ALL ON FUNCTION pg_catalog.cluster_config(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_config(integer) TO pg_monitor;

CREATE FUNCTION pg_catalog.cluster_set_config(patch jsonb, group_id integer DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_set_config(jsonb, integer) IS 'changes settings of a group by a JSON merge patch (null removes); returns them all';
REVOKE ALL ON FUNCTION pg_catalog.cluster_set_config(jsonb, integer) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_pause(group_id integer DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_pause(integer) IS 'has a group go on as it is: nobody is promoted or demoted unless it is asked for';
REVOKE ALL ON FUNCTION pg_catalog.cluster_pause(integer) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_resume(group_id integer DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_resume(integer) IS 'ends the pause of a group';
REVOKE ALL ON FUNCTION pg_catalog.cluster_resume(integer) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_restart(member text, group_id integer DEFAULT NULL,
    at timestamptz DEFAULT NULL, only_pending boolean DEFAULT false, only_role text DEFAULT NULL,
    below_version text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_restart(text, integer, timestamptz, boolean, text, text) IS 'restarts the server of a member, now or later, on conditions; a leader goes on leading';
REVOKE ALL ON FUNCTION pg_catalog.cluster_restart(text, integer, timestamptz, boolean, text, text) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_cancel_restart(member text, group_id integer DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_cancel_restart(text, integer) IS 'cancels a restart that is planned for a later time';
REVOKE ALL ON FUNCTION pg_catalog.cluster_cancel_restart(text, integer) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_reload(member text, group_id integer DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_reload(text, integer) IS 'has the server of a member read its configuration files';
REVOKE ALL ON FUNCTION pg_catalog.cluster_reload(text, integer) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_reinitialize(member text, group_id integer DEFAULT NULL,
    force boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pg_catalog.cluster_reinitialize(text, integer, boolean) IS 'has a standby throw its data away and clone the leader; returns when that has begun';
REVOKE ALL ON FUNCTION pg_catalog.cluster_reinitialize(text, integer, boolean) FROM PUBLIC;

CREATE FUNCTION pg_catalog.cluster_history(
    OUT timeline integer, OUT lsn pg_lsn, OUT reason text, OUT at timestamptz, OUT leader text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION pg_catalog.cluster_history() IS 'timelines of this group before the present one: where each ended, when, and who led then';
REVOKE ALL ON FUNCTION pg_catalog.cluster_history() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_history() TO pg_monitor;

CREATE FUNCTION pgcluster.ha_rules(
    OUT rule integer, OUT role text, OUT lease text, OUT condition text, OUT action text,
    OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgcluster_ha_rules' LANGUAGE C STRICT STABLE PARALLEL SAFE ROWS 50;
COMMENT ON FUNCTION pgcluster.ha_rules() IS 'by which rules a member decides: the first that fits';
REVOKE ALL ON FUNCTION pgcluster.ha_rules() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgcluster.ha_rules() TO pg_monitor;

------------------------------------------------------------------------
-- shard/metadata
------------------------------------------------------------------------

CREATE TABLE pgcluster.member_group (
    group_id integer PRIMARY KEY CHECK (group_id > 0),
    host text,
    port integer CHECK (port BETWEEN 1 AND 65535),
    CHECK ((host IS NULL) = (port IS NULL))
);
COMMENT ON TABLE pgcluster.member_group IS 'worker groups that may own shards';
COMMENT ON COLUMN pgcluster.member_group.host IS 'where the group is reached; NULL: its leader is found through etcd';

CREATE TABLE pgcluster.colocation_group (
    id integer PRIMARY KEY CHECK (id > 0),
    shard_count integer NOT NULL CHECK (shard_count > 0),
    key_type regtype,
    key_collation regcollation
);
COMMENT ON TABLE pgcluster.colocation_group IS 'tables that are split the same way; key_type is NULL for reference tables';

CREATE TABLE pgcluster.shard (
    id bigint PRIMARY KEY,
    colocation_id integer NOT NULL REFERENCES pgcluster.colocation_group,
    hash_min integer NOT NULL,
    hash_max integer NOT NULL,
    group_id integer REFERENCES pgcluster.member_group,
    UNIQUE (colocation_id, hash_min),
    CHECK (hash_min <= hash_max)
);
COMMENT ON TABLE pgcluster.shard IS 'one hash range of a colocation group; group_id is NULL when every group has a copy';

CREATE TABLE pgcluster.distributed_table (
    relid regclass PRIMARY KEY,
    kind "char" NOT NULL CHECK (kind IN ('h', 'r')),
    distribution_column name,
    colocation_id integer NOT NULL REFERENCES pgcluster.colocation_group,
    CHECK ((kind = 'h') = (distribution_column IS NOT NULL))
);
COMMENT ON TABLE pgcluster.distributed_table IS 'distributed tables (kind h) and reference tables (kind r)';

CREATE INDEX distributed_table_colocation_id_idx ON pgcluster.distributed_table (colocation_id);

-- On a worker group: what its copy of the table's definition stands for.
CREATE TABLE pgcluster.shell (
    relid regclass PRIMARY KEY,
    kind "char" NOT NULL CHECK (kind IN ('h', 'r')),
    distribution_column smallint,
    colocation_id integer NOT NULL CHECK (colocation_id > 0),
    shard_ids bigint[] NOT NULL,
    hash_maxima integer[] NOT NULL,
    group_ids integer[] NOT NULL,
    CHECK ((kind = 'h') = (distribution_column IS NOT NULL))
);
COMMENT ON TABLE pgcluster.shell IS 'on a worker group: empty tables that stand for distributed ones, and where the rows of these are';

CREATE TABLE pgcluster.table_statistics (
    relid regclass PRIMARY KEY,
    row_count float8 NOT NULL,
    changes bigint NOT NULL,
    collected_at timestamptz NOT NULL
);
COMMENT ON TABLE pgcluster.table_statistics IS 'distributed tables whose statistics were collected from the shards';
COMMENT ON COLUMN pgcluster.table_statistics.changes IS 'rows that the shards had counted as inserted, updated and deleted by then';

CREATE TABLE pgcluster.distributed_function (
    funcid regprocedure PRIMARY KEY,
    argument smallint CHECK (argument > 0),
    colocation_id integer,
    CHECK ((argument IS NULL) = (colocation_id IS NULL))
);
COMMENT ON TABLE pgcluster.distributed_function IS 'functions that every node has; those with an argument run on the worker group that has its shard';
COMMENT ON COLUMN pgcluster.distributed_function.argument IS 'number among the arguments that go in, from 1';

CREATE SEQUENCE pgcluster.colocation_id_seq AS integer;
COMMENT ON SEQUENCE pgcluster.colocation_id_seq IS 'numbers of colocation groups';

CREATE SEQUENCE pgcluster.shard_id_seq MINVALUE 102008;
COMMENT ON SEQUENCE pgcluster.shard_id_seq IS 'numbers of shards';

-- Counted on from the minute, so that no range comes twice, not even in a cluster that is made anew. All are above 2^57.
CREATE SEQUENCE pgcluster.sequence_range_seq MAXVALUE 134217727;
COMMENT ON SEQUENCE pgcluster.sequence_range_seq IS 'numbers of the ranges that sequences on worker groups have';
SELECT pg_catalog.setval('pgcluster.sequence_range_seq', greatest((extract(epoch FROM now()) / 60 - 26297280)::bigint, 2097152));

CREATE FUNCTION pgcluster.catalog_changed() RETURNS trigger
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'pgcluster_catalog_changed';
REVOKE ALL ON FUNCTION pgcluster.catalog_changed() FROM PUBLIC;
COMMENT ON FUNCTION pgcluster.catalog_changed() IS 'tells the caches of all sessions that a catalog was changed by hand';

CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pgcluster.member_group
    EXECUTE FUNCTION pgcluster.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pgcluster.colocation_group
    EXECUTE FUNCTION pgcluster.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pgcluster.shard
    EXECUTE FUNCTION pgcluster.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pgcluster.distributed_table
    EXECUTE FUNCTION pgcluster.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pgcluster.shell
    EXECUTE FUNCTION pgcluster.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pgcluster.distributed_function
    EXECUTE FUNCTION pgcluster.catalog_changed();

-- The catalogs are not marked for pg_dump: a dump holds the rows of every
-- table as if it were a local one, and must not come back as a second
-- coordinator of the same shards.

CREATE TABLE pgcluster.node_object (
    class_id oid,
    object_id oid,
    PRIMARY KEY (class_id, object_id)
);
COMMENT ON TABLE pgcluster.node_object IS 'functions, types and other objects that all worker groups have, because shards need them';
COMMENT ON COLUMN pgcluster.node_object.class_id IS 'the system catalog that the object is in';

GRANT SELECT ON pgcluster.member_group, pgcluster.colocation_group, pgcluster.shard,
    pgcluster.distributed_table, pgcluster.shell, pgcluster.distributed_function, pgcluster.node_object, pgcluster.table_statistics TO pg_monitor;

CREATE TABLE pgcluster.two_phase_record (
    gid text PRIMARY KEY,
    group_id integer NOT NULL
);
COMMENT ON TABLE pgcluster.two_phase_record IS 'prepared transactions whose outcome is commit; removed once the node has carried it out';
COMMENT ON COLUMN pgcluster.two_phase_record.gid IS 'name of the prepared transaction on the node';
COMMENT ON COLUMN pgcluster.two_phase_record.group_id IS 'group whose node it was prepared on';

CREATE TABLE pgcluster.two_phase_decision (
    name text,
    role text,
    commits boolean NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    decided_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (name, role)
);
COMMENT ON TABLE pgcluster.two_phase_decision IS 'transactions prepared on other nodes that this node has decided; removed some time after all nodes have followed';
COMMENT ON COLUMN pgcluster.two_phase_decision.name IS 'name of the prepared transactions, without the number of each';
COMMENT ON COLUMN pgcluster.two_phase_decision.role IS 'who ran the transaction';
COMMENT ON COLUMN pgcluster.two_phase_decision.commits IS 'true: it was committed here; false: it was asked for before it was, and can be no more';
COMMENT ON COLUMN pgcluster.two_phase_decision.xid IS 'transaction that wrote this row';
COMMENT ON COLUMN pgcluster.two_phase_decision.decided_at IS 'when';

------------------------------------------------------------------------
-- shard/functions
------------------------------------------------------------------------

CREATE FUNCTION cluster_add_node(host text, port integer, group_id integer DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cluster_add_node';
REVOKE ALL ON FUNCTION cluster_add_node(text, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION cluster_add_node(text, integer, integer) IS 'adds the server at host and port as a worker group; returns the number of the group';

CREATE FUNCTION cluster_remove_node(group_id integer) RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cluster_remove_node';
REVOKE ALL ON FUNCTION cluster_remove_node(integer) FROM PUBLIC;
COMMENT ON FUNCTION cluster_remove_node(integer) IS 'removes a worker group that owns no shard';

CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column name,
    colocate_with text DEFAULT 'default', shard_count integer DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'create_distributed_table';
REVOKE ALL ON FUNCTION create_distributed_table(regclass, name, text, integer) FROM PUBLIC;
COMMENT ON FUNCTION create_distributed_table(regclass, name, text, integer) IS
    'splits a table by the hash of a column over the worker groups; colocate_with is a table, ''default'' or ''none''; shard_count is 32 unless the colocation says otherwise';

CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'create_reference_table';
REVOKE ALL ON FUNCTION create_reference_table(regclass) FROM PUBLIC;
COMMENT ON FUNCTION create_reference_table(regclass) IS 'gives every worker group a full copy of a table';

CREATE FUNCTION undistribute_table(table_name regclass, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'undistribute_table';
REVOKE ALL ON FUNCTION undistribute_table(regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION undistribute_table(regclass, boolean) IS
    'makes a distributed or reference table local again; cascade: with all tables that foreign keys tie to it';

CREATE FUNCTION create_distributed_function(function_name regprocedure, distribution_arg_name text DEFAULT NULL,
    colocate_with text DEFAULT 'default') RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'create_distributed_function';
REVOKE ALL ON FUNCTION create_distributed_function(regprocedure, text, text) FROM PUBLIC;
COMMENT ON FUNCTION create_distributed_function(regprocedure, text, text) IS
    'makes a function or procedure on every node; with an argument, by its name or as $1, calls run on the worker group that has the rows of that key in the table colocate_with';

CREATE FUNCTION pgcluster.group_address(group_id integer) RETURNS text
    LANGUAGE c STRICT VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'pgcluster_group_address';
REVOKE ALL ON FUNCTION pgcluster.group_address(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgcluster.group_address(integer) TO pg_monitor;
COMMENT ON FUNCTION pgcluster.group_address(integer) IS 'where the leader of a worker group is reached just now';

CREATE FUNCTION pgcluster.shard_schema(schema name, shard_id bigint) RETURNS name
    LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'pgcluster_shard_schema';
REVOKE ALL ON FUNCTION pgcluster.shard_schema(name, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgcluster.shard_schema(name, bigint) TO pg_monitor;
COMMENT ON FUNCTION pgcluster.shard_schema(name, bigint) IS 'the schema on a worker group that holds the shard''s piece of tables of a schema';

CREATE FUNCTION pgcluster.keep_in_shard() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pgcluster_keep_in_shard';
COMMENT ON FUNCTION pgcluster.keep_in_shard() IS
    'refuses a row that a trigger has given the distribution column of another shard';

-- For the owner of the table, whoever that is.
CREATE FUNCTION pgcluster.make_shell(relation regclass, kind "char", distribution_column name, colocation_id integer,
    shard_ids bigint[], hash_maxima integer[], group_ids integer[]) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pgcluster_make_shell';
COMMENT ON FUNCTION pgcluster.make_shell(regclass, "char", name, integer, bigint[], integer[], integer[]) IS
    'on a worker group: says that a table stands for a distributed one, and where the rows of that are';

CREATE FUNCTION pgcluster.no_default(type anyelement, column_name text) RETURNS anyelement
    LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgcluster_no_default';
COMMENT ON FUNCTION pgcluster.no_default(anyelement, text) IS
    'on a worker group: stands for a default that only the coordinator can compute';

CREATE FUNCTION pgcluster.keep_key(value anyelement, hash_min integer, hash_max integer) RETURNS anyelement
    LANGUAGE c CALLED ON NULL INPUT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgcluster_keep_key';
COMMENT ON FUNCTION pgcluster.keep_key(anyelement, integer, integer) IS
    'on a worker group: refuses a row that belongs to another shard than the statement';

-- Asked of nodes by sessions of every user; tells no more than the catalogs do.
CREATE FUNCTION pgcluster.object_id(type text, names text[], arguments text[]) RETURNS oid
    LANGUAGE plpgsql STRICT STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN objid FROM pg_get_object_address(type, names, arguments);
EXCEPTION WHEN undefined_object OR undefined_function OR undefined_table OR undefined_column
    OR undefined_parameter OR invalid_schema_name THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION pgcluster.object_id(text, text[], text[]) IS
    'the object that is named as by pg_identify_object_as_address, NULL: there is none';

-- Views start in pgcluster, as the server lets nobody create a relation in pg_catalog.
CREATE VIEW pgcluster.cluster_nodes AS
SELECT g.group_id, pgcluster.group_address(g.group_id) AS node, count(s.id) AS shards
FROM pgcluster.member_group g LEFT JOIN pgcluster.shard s USING (group_id)
GROUP BY g.group_id;
COMMENT ON VIEW pgcluster.cluster_nodes IS 'worker groups, where their leaders are reached, and how many shards they own';
GRANT SELECT ON pgcluster.cluster_nodes TO pg_monitor;
ALTER VIEW pgcluster.cluster_nodes SET SCHEMA pg_catalog;

CREATE VIEW pgcluster.cluster_tables AS
SELECT t.relid AS table_name, CASE t.kind WHEN 'h' THEN 'hash' ELSE 'reference' END AS kind,
    t.distribution_column, t.colocation_id, g.shard_count,
    pg_catalog.pg_get_userbyid(c.relowner) AS table_owner
FROM pgcluster.distributed_table t
    JOIN pgcluster.colocation_group g ON g.id = t.colocation_id
    JOIN pg_catalog.pg_class c ON c.oid = t.relid;
COMMENT ON VIEW pgcluster.cluster_tables IS 'distributed tables and reference tables';
GRANT SELECT ON pgcluster.cluster_tables TO pg_monitor;
ALTER VIEW pgcluster.cluster_tables SET SCHEMA pg_catalog;

-- What a dump does not carry: tables that foreign keys point at first, tables that
-- are colocated with the first of their kind.
CREATE FUNCTION pg_catalog.cluster_distribution_commands() RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
WITH RECURSIVE points_at (relid, target) AS (
    SELECT DISTINCT conrelid::oid, confrelid::oid FROM pg_constraint WHERE contype = 'f' AND conrelid <> confrelid
), step (relid, path) AS (
    SELECT relid::oid, ARRAY[relid::oid] FROM pgcluster.distributed_table
    UNION ALL
    SELECT p.target, s.path || p.target FROM step s JOIN points_at p USING (relid) WHERE p.target <> ALL (s.path)
), ranked AS (
    SELECT t.kind, t.distribution_column, t.colocation_id, g.shard_count, c.oid,
        format('%I.%I', n.nspname, c.relname) AS name,
        (SELECT max(cardinality(path)) FROM step WHERE step.relid = t.relid::oid) AS pointed_at
    FROM pgcluster.distributed_table t
        JOIN pgcluster.colocation_group g ON g.id = t.colocation_id
        JOIN pg_class c ON c.oid = t.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace
), ordered AS (
    SELECT *, first_value(name) OVER same AS first, row_number() OVER same AS number
    FROM ranked
    WINDOW same AS (PARTITION BY colocation_id ORDER BY pointed_at DESC, name)
)
SELECT command FROM (SELECT 1, row_number() OVER (ORDER BY kind = 'h', pointed_at DESC, colocation_id, number),
    CASE WHEN kind = 'r' THEN format('SELECT pg_catalog.create_reference_table(%L);', name)
    WHEN number = 1 THEN format('SELECT pg_catalog.create_distributed_table(%L, %L, colocate_with => ''none'', shard_count => %s);',
        name, distribution_column, shard_count)
    ELSE format('SELECT pg_catalog.create_distributed_table(%L, %L, colocate_with => %L);', name, distribution_column, first) END
FROM ordered
UNION ALL
SELECT 2, row_number() OVER (ORDER BY f.funcid::text),
    CASE WHEN f.argument IS NULL THEN format('SELECT pg_catalog.create_distributed_function(%L);', f.funcid)
    ELSE format('SELECT pg_catalog.create_distributed_function(%L, %L, colocate_with => %L);', f.funcid, '$' || (
        SELECT a.number FROM (SELECT i AS number, row_number() OVER (ORDER BY i) AS input
            FROM generate_series(1, coalesce(cardinality(p.proallargtypes), p.pronargs)) i
            WHERE p.proargmodes IS NULL OR p.proargmodes[i - 1 + array_lower(p.proargmodes, 1)] IN ('i', 'b', 'v')) a
        WHERE a.input = f.argument), o.first) END
FROM pgcluster.distributed_function f JOIN pg_proc p ON p.oid = f.funcid
    LEFT JOIN ordered o ON o.colocation_id = f.colocation_id AND o.number = 1
WHERE f.argument IS NULL OR o.first IS NOT NULL
) c (part, rank, command) ORDER BY part, rank
$$;
REVOKE ALL ON FUNCTION pg_catalog.cluster_distribution_commands() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_distribution_commands() TO pg_monitor;
COMMENT ON FUNCTION pg_catalog.cluster_distribution_commands() IS 'the statements that distribute the tables of this database anew, which a dump does not hold, in an order that works';

CREATE VIEW pgcluster.cluster_shards AS
SELECT t.relid AS table_name, s.id AS shard_id, s.hash_min, s.hash_max,
    pgcluster.shard_schema(n.nspname, s.id) AS shard_schema, g.group_id,
    pgcluster.group_address(g.group_id) AS node
FROM pgcluster.distributed_table t
    JOIN pg_catalog.pg_class c ON c.oid = t.relid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pgcluster.shard s ON s.colocation_id = t.colocation_id
    JOIN pgcluster.member_group g ON g.group_id = coalesce(s.group_id, g.group_id);
COMMENT ON VIEW pgcluster.cluster_shards IS 'pieces of distributed tables: hash range, schema, group and node; reference tables have one on every group';
GRANT SELECT ON pgcluster.cluster_shards TO pg_monitor;
ALTER VIEW pgcluster.cluster_shards SET SCHEMA pg_catalog;

------------------------------------------------------------------------
-- shard/planner
------------------------------------------------------------------------

-- What stands in a query for the rows of shards while it is planned.
CREATE FUNCTION pgcluster.shards(piece integer, VARIADIC parameters "any") RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgcluster_shards' LANGUAGE C CALLED ON NULL INPUT STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pgcluster.shards(integer, "any") IS 'for the planner only: the rows that shards give for a piece of a query';
REVOKE ALL ON FUNCTION pgcluster.shards(integer, "any") FROM PUBLIC;

-- Small relations as arrays, on their way to shards.  Arguments of type internal keep others than the planner out.
CREATE FUNCTION pgcluster.ship_row(state internal, nothing internal, VARIADIC columns "any") RETURNS internal
AS 'MODULE_PATHNAME', 'pgcluster_ship_row' LANGUAGE C CALLED ON NULL INPUT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.ship_row(internal, internal, "any") IS 'for the planner only: adds a row to arrays of columns';
CREATE FUNCTION pgcluster.ship_done(state internal) RETURNS internal
AS 'MODULE_PATHNAME', 'pgcluster_ship_done' LANGUAGE C CALLED ON NULL INPUT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.ship_done(internal) IS 'for the planner only: arrays of columns, null if they are too large';
CREATE AGGREGATE pgcluster.ship(nothing internal, VARIADIC columns "any") (
    SFUNC = pgcluster.ship_row, STYPE = internal, FINALFUNC = pgcluster.ship_done, PARALLEL = UNSAFE);
COMMENT ON AGGREGATE pgcluster.ship(internal, "any") IS 'for the planner only: the rows of a relation as arrays of its columns';
CREATE FUNCTION pgcluster.shipped(arrays internal, number integer, type anyarray) RETURNS anyarray
AS 'MODULE_PATHNAME', 'pgcluster_shipped' LANGUAGE C CALLED ON NULL INPUT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.shipped(internal, integer, anyarray) IS 'for the planner only: one of these arrays';
-- The same sorted out by shard.
CREATE FUNCTION pgcluster.exchange_row(state internal, nothing internal, relation oid, key integer, hash oid, VARIADIC columns "any") RETURNS internal
AS 'MODULE_PATHNAME', 'pgcluster_exchange_row' LANGUAGE C CALLED ON NULL INPUT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.exchange_row(internal, internal, oid, integer, oid, "any") IS 'for the planner only: adds a row to the arrays of its shard';
CREATE FUNCTION pgcluster.exchange_done(state internal) RETURNS internal
AS 'MODULE_PATHNAME', 'pgcluster_exchange_done' LANGUAGE C CALLED ON NULL INPUT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.exchange_done(internal) IS 'for the planner only: arrays of columns by shard, null if they are too large';
CREATE AGGREGATE pgcluster.exchange(nothing internal, relation oid, key integer, hash oid, VARIADIC columns "any") (
    SFUNC = pgcluster.exchange_row, STYPE = internal, FINALFUNC = pgcluster.exchange_done, PARALLEL = UNSAFE);
COMMENT ON AGGREGATE pgcluster.exchange(internal, oid, integer, oid, "any") IS 'for the planner only: the rows of a relation, sorted out by the shards of another';
CREATE FUNCTION pgcluster.exchanged(arrays internal, number integer, type anyarray, needed boolean) RETURNS anyarray
AS 'MODULE_PATHNAME', 'pgcluster_exchanged' LANGUAGE C CALLED ON NULL INPUT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.exchanged(internal, integer, anyarray, boolean) IS 'for the planner only: one of these arrays, of the shard that is being asked';

-- In the place of a function that runs where its key lives.
CREATE FUNCTION pgcluster.call(type anyelement, function regprocedure, VARIADIC arguments "any") RETURNS anyelement
AS 'MODULE_PATHNAME', 'pgcluster_call' LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION pgcluster.call(anyelement, regprocedure, "any") IS 'for the planner only: a call on the worker group that has the key';

-- Rows on their way to a shard, as one parameter of the statement that takes them.
CREATE FUNCTION pgcluster.rows_support(request internal) RETURNS internal
AS 'MODULE_PATHNAME', 'pgcluster_rows_support' LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION pgcluster.rows_support(internal) IS 'tells the server''s planner how many rows a bundle has';
CREATE FUNCTION pgcluster.rows(bundle bytea) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgcluster_rows' LANGUAGE C STRICT STABLE PARALLEL RESTRICTED ROWS 1000 SUPPORT pgcluster.rows_support;
COMMENT ON FUNCTION pgcluster.rows(bytea) IS 'the rows that the coordinator put into one value for a shard';

-- Stands in statements for shards, where users may be those of any view.
CREATE FUNCTION pgcluster.refuse_row(view text, value anyelement) RETURNS anyelement
AS 'MODULE_PATHNAME', 'pgcluster_refuse_row' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION pgcluster.refuse_row(text, anyelement) IS 'for the planner only: raises the error of a row that a view with a check option would not show';

-- How a transaction goes on as another user: both prove by themselves who may.
CREATE FUNCTION pgcluster.vouch(pid integer, role text) RETURNS bytea
AS 'MODULE_PATHNAME', 'pgcluster_vouch' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.vouch(integer, text) IS 'for the coordinator only: lets a process of this server go on as the current user, or, asked by a superuser, as any role';
CREATE FUNCTION pgcluster.act_as(role text, token bytea) RETURNS void
AS 'MODULE_PATHNAME', 'pgcluster_act_as' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.act_as(text, bytea) IS 'for the coordinator only: goes on as a role that has vouched for this process, or, without one, as the session''s own';

-- Only ever the function of a trigger that is made up while a statement runs.
CREATE FUNCTION pgcluster.capture_row() RETURNS trigger
AS 'MODULE_PATHNAME', 'pgcluster_capture_row' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.capture_row() IS 'for the executor only: gives a changed row of a reference table to its other copies';
REVOKE ALL ON FUNCTION pgcluster.capture_row() FROM PUBLIC;

CREATE FUNCTION pgcluster.exchanged(source integer) RETURNS bytea
AS 'MODULE_PATHNAME', 'pgcluster_exchanged' LANGUAGE C STRICT STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.exchanged(integer) IS 'for the planner only: the rows that other shards have sent to the shard that is being asked';

-- Rows that are exchanged between nodes: each keeps some for a statement that is to come.
CREATE FUNCTION pgcluster.exchange_begin(exchange integer, parts integer) RETURNS void
AS 'MODULE_PATHNAME', 'pgcluster_exchange_begin' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.exchange_begin(integer, integer) IS 'on a node: begins to keep rows for this transaction, in parts';
CREATE FUNCTION pgcluster.exchange_end(exchange integer) RETURNS void
AS 'MODULE_PATHNAME', 'pgcluster_exchange_end' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.exchange_end(integer) IS 'on a node: lets go of the rows';
CREATE FUNCTION pgcluster.exchange_route(routes bytea, hash integer) RETURNS bigint
AS 'MODULE_PATHNAME', 'pgcluster_exchange_route' LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION pgcluster.exchange_route(bytea, integer) IS 'on a node: which part a row belongs to, and who keeps it';
CREATE FUNCTION pgcluster.exchange_put(exchange integer, part integer, rows bytea, count bigint) RETURNS void
AS 'MODULE_PATHNAME', 'pgcluster_exchange_put' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.exchange_put(integer, integer, bytea, bigint) IS 'on a node: adds rows to a part';
CREATE FUNCTION pgcluster.exchange_copy(exchange integer, part integer, target text, columns text[]) RETURNS bigint
AS 'MODULE_PATHNAME', 'pgcluster_exchange_copy' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION pgcluster.exchange_copy(integer, integer, text, text[]) IS 'on a node: copies the rows of a part into a table, with the rights of who calls it; returns how many';

-- Aggregates in two steps: partial_* is computed by each shard and gives its
-- state, merge_* makes the result of such states.
CREATE FUNCTION pgcluster.combine_numeric(state internal, part bytea) RETURNS internal
AS 'MODULE_PATHNAME', 'pgcluster_combine_numeric' LANGUAGE C CALLED ON NULL INPUT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION pgcluster.combine_numeric(internal, bytea) IS 'takes the state of a numeric aggregate of a shard in';

CREATE AGGREGATE pgcluster.partial_numeric(value numeric) (
    SFUNC = numeric_accum, STYPE = internal, FINALFUNC = numeric_serialize,
    COMBINEFUNC = numeric_combine, SERIALFUNC = numeric_serialize, DESERIALFUNC = numeric_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.partial_numeric(numeric) IS 'number, sum and sum of squares of values';
CREATE AGGREGATE pgcluster.partial_float8(value float8) (
    SFUNC = float8_accum, STYPE = float8[], INITCOND = '{0,0,0}', COMBINEFUNC = float8_combine,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.partial_float8(float8) IS 'number, sum and squared deviations of values';
CREATE AGGREGATE pgcluster.partial_pair(y float8, x float8) (
    SFUNC = float8_regr_accum, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}',
    COMBINEFUNC = float8_regr_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.partial_pair(float8, float8) IS 'number, sums and squared deviations of pairs of values';
CREATE AGGREGATE pgcluster.merge_numeric_var_pop(part bytea) (
    SFUNC = pgcluster.combine_numeric, STYPE = internal, FINALFUNC = numeric_var_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_numeric_var_pop(bytea) IS 'var_pop of what shards gave';
CREATE AGGREGATE pgcluster.merge_numeric_var_samp(part bytea) (
    SFUNC = pgcluster.combine_numeric, STYPE = internal, FINALFUNC = numeric_var_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_numeric_var_samp(bytea) IS 'var_samp of what shards gave';
CREATE AGGREGATE pgcluster.merge_numeric_stddev_pop(part bytea) (
    SFUNC = pgcluster.combine_numeric, STYPE = internal, FINALFUNC = numeric_stddev_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_numeric_stddev_pop(bytea) IS 'stddev_pop of what shards gave';
CREATE AGGREGATE pgcluster.merge_numeric_stddev_samp(part bytea) (
    SFUNC = pgcluster.combine_numeric, STYPE = internal, FINALFUNC = numeric_stddev_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_numeric_stddev_samp(bytea) IS 'stddev_samp of what shards gave';
CREATE AGGREGATE pgcluster.merge_float8_avg(part float8[]) (
    SFUNC = float8_combine, STYPE = float8[], INITCOND = '{0,0,0}', FINALFUNC = float8_avg, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_float8_avg(float8[]) IS 'avg of what shards gave';
CREATE AGGREGATE pgcluster.merge_float8_var_pop(part float8[]) (
    SFUNC = float8_combine, STYPE = float8[], INITCOND = '{0,0,0}', FINALFUNC = float8_var_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_float8_var_pop(float8[]) IS 'var_pop of what shards gave';
CREATE AGGREGATE pgcluster.merge_float8_var_samp(part float8[]) (
    SFUNC = float8_combine, STYPE = float8[], INITCOND = '{0,0,0}', FINALFUNC = float8_var_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_float8_var_samp(float8[]) IS 'var_samp of what shards gave';
CREATE AGGREGATE pgcluster.merge_float8_stddev_pop(part float8[]) (
    SFUNC = float8_combine, STYPE = float8[], INITCOND = '{0,0,0}', FINALFUNC = float8_stddev_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_float8_stddev_pop(float8[]) IS 'stddev_pop of what shards gave';
CREATE AGGREGATE pgcluster.merge_float8_stddev_samp(part float8[]) (
    SFUNC = float8_combine, STYPE = float8[], INITCOND = '{0,0,0}', FINALFUNC = float8_stddev_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_float8_stddev_samp(float8[]) IS 'stddev_samp of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_covar_pop(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_covar_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_covar_pop(float8[]) IS 'covar_pop of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_covar_samp(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_covar_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_covar_samp(float8[]) IS 'covar_samp of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_corr(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_corr, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_corr(float8[]) IS 'corr of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_regr_avgx(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_regr_avgx, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_regr_avgx(float8[]) IS 'regr_avgx of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_regr_avgy(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_regr_avgy, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_regr_avgy(float8[]) IS 'regr_avgy of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_regr_intercept(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_regr_intercept, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_regr_intercept(float8[]) IS 'regr_intercept of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_regr_r2(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_regr_r2, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_regr_r2(float8[]) IS 'regr_r2 of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_regr_slope(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_regr_slope, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_regr_slope(float8[]) IS 'regr_slope of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_regr_sxx(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_regr_sxx, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_regr_sxx(float8[]) IS 'regr_sxx of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_regr_sxy(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_regr_sxy, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_regr_sxy(float8[]) IS 'regr_sxy of what shards gave';
CREATE AGGREGATE pgcluster.merge_pair_regr_syy(part float8[]) (
    SFUNC = float8_regr_combine, STYPE = float8[], INITCOND = '{0,0,0,0,0,0}', FINALFUNC = float8_regr_syy, PARALLEL = SAFE);
COMMENT ON AGGREGATE pgcluster.merge_pair_regr_syy(float8[]) IS 'regr_syy of what shards gave';

------------------------------------------------------------------------
-- shard/remote
------------------------------------------------------------------------

CREATE FUNCTION pgcluster.execute_on_group(group_id integer, command text) RETURNS bigint
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'pgcluster_execute_on_group';
REVOKE ALL ON FUNCTION pgcluster.execute_on_group(integer, text) FROM PUBLIC;
COMMENT ON FUNCTION pgcluster.execute_on_group(integer, text) IS 'runs a command on a group as part of this transaction; returns the rows affected';

CREATE FUNCTION pgcluster.query_on_group(group_id integer, query text, writes boolean DEFAULT true) RETURNS SETOF text[]
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'pgcluster_query_on_group';
REVOKE ALL ON FUNCTION pgcluster.query_on_group(integer, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION pgcluster.query_on_group(integer, text, boolean) IS 'runs a query on a group as part of this transaction; returns its rows as text';

-- The same question for all groups.  A node that cannot be had is left out.
CREATE FUNCTION pgcluster.ask_groups(query text, OUT group_id integer, OUT answer text[]) RETURNS SETOF record
    LANGUAGE plpgsql STRICT VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    FOR group_id IN SELECT g.group_id FROM pgcluster.member_group g ORDER BY 1 LOOP
        BEGIN
            FOR answer IN SELECT pgcluster.query_on_group(ask_groups.group_id, query, false) LOOP
                RETURN NEXT;
            END LOOP;
        EXCEPTION WHEN connection_exception OR sqlclient_unable_to_establish_sqlconnection
            OR connection_failure OR cannot_connect_now OR admin_shutdown OR crash_shutdown THEN
            RAISE WARNING '%', SQLERRM;
        END;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION pgcluster.ask_groups(text) FROM PUBLIC;
COMMENT ON FUNCTION pgcluster.ask_groups(text) IS 'runs a query that only reads on every worker group; returns their rows as text';

-- The transactions that run here, by process.
CREATE FUNCTION pgcluster.running_transactions(OUT pid integer, OUT transaction_id text) RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
SELECT pid, virtualtransaction FROM pg_locks WHERE locktype = 'virtualxid' AND virtualxid = virtualtransaction AND granted
$$;
REVOKE ALL ON FUNCTION pgcluster.running_transactions() FROM PUBLIC;
COMMENT ON FUNCTION pgcluster.running_transactions() IS 'the virtual transaction ids of this server''s processes';

-- Sessions of this server have names on the nodes whose last part is its own.
CREATE FUNCTION pgcluster.activity(OUT transaction_id text, OUT group_id integer, OUT pid integer, OUT node_pid integer, OUT usename name,
    OUT state text, OUT wait_event_type text, OUT wait_event text, OUT xact_start timestamptz, OUT query_start timestamptz, OUT query text)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
WITH node AS MATERIALIZED (
    SELECT a.group_id, r[1]::integer AS pid, r[2]::integer AS node_pid, r[3]::name AS usename, r[4] AS state, r[5] AS wait_event_type,
        r[6] AS wait_event, to_timestamp(r[7]::float8) AS xact_start, to_timestamp(r[8]::float8) AS query_start, r[9] AS query
    FROM pgcluster.ask_groups($q$
        SELECT split_part(application_name, '_', 3), pid, usename, state, wait_event_type, wait_event,
            extract(epoch FROM xact_start), extract(epoch FROM query_start), query
        FROM pg_stat_activity
        WHERE application_name LIKE 'pgcluster\_%' AND pid <> pg_backend_pid()
            AND split_part(application_name, '_', 4) = split_part(current_setting('application_name'), '_', 4)
    $q$) AS a (group_id, r)),
session AS (
    SELECT * FROM node
    UNION ALL
    SELECT 0, s.pid, s.pid, s.usename, s.state, s.wait_event_type, s.wait_event, s.xact_start, s.query_start, s.query
    FROM pg_stat_activity s
    WHERE s.pid IN (SELECT node.pid FROM node))
SELECT t.transaction_id, s.* FROM session s LEFT JOIN pgcluster.running_transactions() t ON t.pid = s.pid
ORDER BY s.pid, s.group_id, s.node_pid
$$;
REVOKE ALL ON FUNCTION pgcluster.activity() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgcluster.activity() TO pg_monitor;
COMMENT ON FUNCTION pgcluster.activity() IS 'what sessions of this server do here and on the worker groups';

CREATE VIEW pgcluster.cluster_activity AS SELECT * FROM pgcluster.activity();
COMMENT ON VIEW pgcluster.cluster_activity IS 'what sessions of this server that use worker groups do, here (group 0) and there: pid is the process here, node_pid the one there, transaction_id the same on all nodes';
GRANT SELECT ON pgcluster.cluster_activity TO pg_monitor;
ALTER VIEW pgcluster.cluster_activity SET SCHEMA pg_catalog;

CREATE FUNCTION pgcluster.lock_waits(OUT group_id integer, OUT waiting_pid integer, OUT blocking_pid integer,
    OUT waiting_node_pid integer, OUT blocking_node_pid integer, OUT waiting_query text, OUT blocking_query text,
    OUT waiting_transaction_id text, OUT blocking_transaction_id text)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
WITH wait (group_id, waiting_pid, blocking_pid, waiting_node_pid, blocking_node_pid, waiting_query, blocking_query) AS MATERIALIZED (
    SELECT a.group_id, r[1]::integer, r[2]::integer, r[3]::integer, r[4]::integer, r[5], r[6]
    FROM pgcluster.ask_groups($q$
        WITH session AS (
            SELECT pid, query, wait_event_type,
                CASE WHEN split_part(application_name, '_', 4) = split_part(current_setting('application_name'), '_', 4)
                    THEN split_part(application_name, '_', 3) END AS origin
            FROM pg_stat_activity)
        SELECT w.origin, b.origin, w.pid, p.pid, w.query, b.query
        FROM session w CROSS JOIN unnest(pg_blocking_pids(w.pid)) AS p (pid) LEFT JOIN session b ON b.pid = p.pid
        WHERE w.wait_event_type = 'Lock'
    $q$) AS a (group_id, r)
    UNION ALL
    SELECT 0, w.pid, p.pid, w.pid, p.pid, w.query, b.query
    FROM pg_stat_activity w CROSS JOIN unnest(pg_blocking_pids(w.pid)) AS p (pid) LEFT JOIN pg_stat_activity b ON b.pid = p.pid
    WHERE w.wait_event_type = 'Lock')
SELECT w.*, tw.transaction_id, tb.transaction_id
FROM wait w LEFT JOIN pgcluster.running_transactions() tw ON tw.pid = w.waiting_pid
    LEFT JOIN pgcluster.running_transactions() tb ON tb.pid = w.blocking_pid
$$;
REVOKE ALL ON FUNCTION pgcluster.lock_waits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgcluster.lock_waits() TO pg_monitor;
COMMENT ON FUNCTION pgcluster.lock_waits() IS 'who waits for whose lock, here and on the worker groups';

CREATE VIEW pgcluster.cluster_lock_waits AS SELECT * FROM pgcluster.lock_waits();
COMMENT ON VIEW pgcluster.cluster_lock_waits IS 'who waits for whose lock, here (group 0) and on the worker groups; pids are those of processes here, node pids those there, transaction ids those of cluster_activity';
GRANT SELECT ON pgcluster.cluster_lock_waits TO pg_monitor;
ALTER VIEW pgcluster.cluster_lock_waits SET SCHEMA pg_catalog;

CREATE FUNCTION pgcluster.check_replayed(lsn pg_lsn) RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'pgcluster_check_replayed';
COMMENT ON FUNCTION pgcluster.check_replayed(pg_lsn) IS 'raises an error on a standby that has not replayed so much';

CREATE FUNCTION pgcluster.explained(number integer) RETURNS text
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'pgcluster_explained';
COMMENT ON FUNCTION pgcluster.explained(integer) IS 'how a statement went that another node had asked this session to explain';

CREATE FUNCTION pgcluster.collation_identity(collation regcollation) RETURNS text
    LANGUAGE c STRICT STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'pgcluster_collation_identity';
COMMENT ON FUNCTION pgcluster.collation_identity(regcollation) IS 'what a collation sorts by here: where it is the same on two nodes, they sort alike';

CREATE FUNCTION pg_catalog.cluster_connections(OUT node text, OUT connections integer, OUT waiting integer, OUT most integer)
    RETURNS SETOF record
    LANGUAGE c STRICT VOLATILE PARALLEL SAFE ROWS 10
    AS 'MODULE_PATHNAME', 'pgcluster_connections';
COMMENT ON FUNCTION pg_catalog.cluster_connections() IS 'connections of the sessions of this server to each node, how many sessions wait for one, and how many there may be';
REVOKE ALL ON FUNCTION pg_catalog.cluster_connections() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.cluster_connections() TO pg_monitor;

CREATE FUNCTION pgcluster.resolve_decision(name text, role text) RETURNS boolean
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'pgcluster_resolve_decision';
COMMENT ON FUNCTION pgcluster.resolve_decision(text, text) IS 'whether this node has committed the transaction of such a decision; if not, it never will';

CREATE FUNCTION pgcluster.prepared_transactions(OUT group_id integer, OUT gid text, OUT prepared timestamptz, OUT owner name, OUT commits boolean)
    RETURNS SETOF record
    LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
WITH prepared AS MATERIALIZED (
    SELECT a.group_id, r[1] AS gid, r[2]::float8 AS at, r[3]::name AS owner, substring(r[1] FROM '^(.*_\d+\.\d+)_\d+$') AS name
    FROM pgcluster.ask_groups($q$
        SELECT gid, extract(epoch FROM prepared), owner FROM pg_prepared_xacts WHERE database = current_database()
    $q$) AS a (group_id, r)),
decision AS MATERIALIZED (
    SELECT r[1] AS name, r[2] AS role, r[3]::boolean AS commits
    FROM pgcluster.ask_groups((
        SELECT 'SELECT name, role, commits FROM pgcluster.two_phase_decision WHERE name IN (' || string_agg(quote_literal(p.name), ', ') || ')'
        FROM prepared p)) AS a (group_id, r))
SELECT p.group_id, p.gid, to_timestamp(p.at), p.owner,
    CASE WHEN p.name IS NULL THEN EXISTS (SELECT FROM pgcluster.two_phase_record t WHERE t.gid = p.gid)
        ELSE (SELECT d.commits FROM decision d WHERE d.name = p.name AND d.role = p.owner) END
FROM prepared p
$$;
REVOKE ALL ON FUNCTION pgcluster.prepared_transactions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgcluster.prepared_transactions() TO pg_monitor;
COMMENT ON FUNCTION pgcluster.prepared_transactions() IS 'transactions prepared on the worker groups, and whether it is decided that they commit';

CREATE VIEW pgcluster.cluster_prepared_transactions AS SELECT * FROM pgcluster.prepared_transactions();
COMMENT ON VIEW pgcluster.cluster_prepared_transactions IS 'transactions prepared on the worker groups; commits: it is decided that they do, NULL: their deciding node has not said yet';
GRANT SELECT ON pgcluster.cluster_prepared_transactions TO pg_monitor;
ALTER VIEW pgcluster.cluster_prepared_transactions SET SCHEMA pg_catalog;

CREATE FUNCTION pgcluster.arm_failpoint(name text, action text DEFAULT 'kill') RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'pgcluster_arm_failpoint';
REVOKE ALL ON FUNCTION pgcluster.arm_failpoint(text, text) FROM PUBLIC;
COMMENT ON FUNCTION pgcluster.arm_failpoint(text, text) IS 'for tests: has the process that comes to this place killed, or the server stopped; off disarms';

CREATE FUNCTION pgcluster.failpoints(OUT name text, OUT action text, OUT place text) RETURNS SETOF record
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'pgcluster_failpoints';
REVOKE ALL ON FUNCTION pgcluster.failpoints() FROM PUBLIC;
COMMENT ON FUNCTION pgcluster.failpoints() IS 'for tests: places at which a process may be made to die';

------------------------------------------------------------------------
-- shard/maintenance
------------------------------------------------------------------------

CREATE FUNCTION pgcluster.wake_maintenance() RETURNS void
    LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'pgcluster_wake_maintenance';
REVOKE ALL ON FUNCTION pgcluster.wake_maintenance() FROM PUBLIC;
COMMENT ON FUNCTION pgcluster.wake_maintenance() IS 'makes the maintenance worker of this database do a round as soon as this transaction commits';

SELECT pgcluster.wake_maintenance();
