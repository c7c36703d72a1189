/*-------------------------------------------------------------------------
 * config.h
 *	  The settings pgcluster.* of this server.
 *
 * Settings of a whole group (ttl, loop_wait, ...) are not here: they live in
 * the "config" key of the store, see ha/.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_CONFIG_H
#define PGCLUSTER_BASE_CONFIG_H

extern char *config_advertise_host;
extern int config_advertise_port;
extern int config_analyze_naptime; /* seconds */
extern char *config_decision;
extern char *config_etcd_cacert;
extern char *config_etcd_cert;
extern char *config_etcd_endpoints;
extern char *config_etcd_key;
extern char *config_etcd_password_file;
extern int config_etcd_protocol; /* EtcdProtocol */
extern char *config_etcd_username;
extern bool config_fence_reads;
extern int config_fence_wait; /* milliseconds */
extern int config_group;
extern char *config_http_allowlist;
extern bool config_http_allowlist_include_members;
extern char *config_http_auth_password_file;
extern char *config_http_auth_username;
extern char *config_http_ca_file;
extern char *config_http_cert_file;
extern char *config_http_ciphers;
extern char *config_http_key_file;
extern char *config_http_listen;
extern int config_http_port;
extern int config_http_verify_client; /* HttpVerifyClient */
extern int config_insert_strategy;	  /* InsertStrategy */
extern int config_join_strategy;	  /* JoinStrategy */
extern int config_max_cached_connections;
extern int config_max_exchanged_size; /* kilobytes; as arrays in memory, no more than ... */
#define CONFIG_MAX_EXCHANGED_ARRAYS (64 * 1024)
extern int config_max_session_connections;
extern int config_max_shared_connections;
extern int config_max_shipped_size; /* kilobytes */
extern char *config_namespace;
extern char *config_node_conninfo;
extern char *config_node_name;
extern int config_probe_timeout;
extern int config_read_consistency;	  /* ReadConsistency */
extern int config_read_from_replicas; /* ReplicaChoice */
extern int config_replica_max_lag;	  /* kB */
extern char *config_replication_user;
extern char *config_scope;
extern int config_statement_snapshot;
extern int config_sync_serial;
extern char *config_tags;

typedef enum EtcdProtocol
{
	ETCD_HTTP,
	ETCD_HTTPS
} EtcdProtocol;

/* What a read over several shards sees of transactions that commit meanwhile. */
typedef enum ReadConsistency
{
	READ_SHARD, /* each shard for itself */
	READ_ATOMIC /* each transaction on all shards or on none */
} ReadConsistency;

/* Where transactions that only read go. */
typedef enum ReplicaChoice
{
	REPLICAS_NEVER,
	REPLICAS_PREFER /* to standbys, where there are any that fit */
} ReplicaChoice;

/* When a request over TLS needs a certificate of the client. */
typedef enum HttpVerifyClient
{
	HTTP_VERIFY_NONE,
	HTTP_VERIFY_OPTIONAL, /* if it would change something */
	HTTP_VERIFY_REQUIRED  /* always */
} HttpVerifyClient;

/* How tables are joined that are not split by the columns they are joined on. */
typedef enum JoinStrategy
{
	JOIN_AUTO,	   /* as costs say */
	JOIN_PULL,	   /* rows come to the coordinator, which joins them */
	JOIN_EXCHANGE, /* rows of both sides are exchanged between nodes */
	JOIN_SHIP	   /* the smaller side travels to the shards of the other */
} JoinStrategy;

/* How the rows of INSERT ... SELECT reach their shards. */
typedef enum InsertStrategy
{
	INSERT_AUTO,	/* as costs say */
	INSERT_PULL,	/* through the coordinator */
	INSERT_EXCHANGE /* between nodes, wherever that is possible */
} InsertStrategy;

/* Told each value of sync_serial that this process reads; may be NULL. */
extern void (*config_on_sync_serial)(int serial);

/* Defines the settings; to be called from _PG_init. */
extern void config_init(void);

#endif
