/*-------------------------------------------------------------------------
 * config.c
 *	  The settings pgcluster.* of this server, one row each.
 *
 * A row says all there is to say of a setting; a kind that is not there yet
 * (real, ...) is a new table beside the others.  sql/settings.sql prints
 * what the server made of them.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <unistd.h>

#include "utils/guc.h"

#include "base/config.h"

char *config_advertise_host;
int config_advertise_port;
int config_analyze_naptime;
char *config_decision;
char *config_etcd_cacert;
char *config_etcd_cert;
char *config_etcd_endpoints;
char *config_etcd_key;
char *config_etcd_password_file;
int config_etcd_protocol;
char *config_etcd_username;
bool config_fence_reads;
int config_fence_wait;
int config_group;
char *config_http_allowlist;
bool config_http_allowlist_include_members;
char *config_http_auth_password_file;
char *config_http_auth_username;
char *config_http_ca_file;
char *config_http_cert_file;
char *config_http_ciphers;
char *config_http_key_file;
char *config_http_listen;
int config_http_port;
int config_http_verify_client;
int config_insert_strategy;
int config_join_strategy;
int config_max_cached_connections;
int config_max_exchanged_size;
int config_max_session_connections;
int config_max_shared_connections;
int config_max_shipped_size;
char *config_namespace;
char *config_node_conninfo;
char *config_node_name;
int config_probe_timeout;
int config_read_consistency;
int config_read_from_replicas;
int config_replica_max_lag;
char *config_replication_user;
char *config_scope;
int config_statement_snapshot;
int config_sync_serial;
char *config_tags;

typedef struct StringSetting
{
	const char *name;
	char **variable;
	const char *boot;
	GucContext context;
	int flags;
	const char *purpose;
} StringSetting;

typedef struct IntSetting
{
	const char *name;
	int *variable;
	int boot;
	int min;
	int max;
	GucContext context;
	int flags;
	const char *purpose;
} IntSetting;

typedef struct BoolSetting
{
	const char *name;
	bool *variable;
	bool boot;
	GucContext context;
	int flags;
	const char *purpose;
} BoolSetting;

typedef struct EnumSetting
{
	const char *name;
	int *variable;
	int boot;
	const struct config_enum_entry *options;
	GucContext context;
	int flags;
	const char *purpose;
} EnumSetting;

static const struct config_enum_entry etcd_protocols[] = {
	{"http", ETCD_HTTP, false}, {"https", ETCD_HTTPS, false}, {NULL, 0, false}};

static const struct config_enum_entry replica_choices[] = {
	{"never", REPLICAS_NEVER, false}, {"prefer", REPLICAS_PREFER, false}, {NULL, 0, false}};

static const struct config_enum_entry verify_client[] = {{"none", HTTP_VERIFY_NONE, false},
														 {"optional", HTTP_VERIFY_OPTIONAL, false},
														 {"required", HTTP_VERIFY_REQUIRED, false},
														 {NULL, 0, false}};

static const struct config_enum_entry read_consistencies[] = {
	{"shard", READ_SHARD, false}, {"atomic", READ_ATOMIC, false}, {NULL, 0, false}};
static const struct config_enum_entry insert_strategies[] = {{"auto", INSERT_AUTO, false},
															 {"pull", INSERT_PULL, false},
															 {"exchange", INSERT_EXCHANGE, false},
															 {NULL, 0, false}};
static const struct config_enum_entry join_strategies[] = {{"auto", JOIN_AUTO, false},
														   {"pull", JOIN_PULL, false},
														   {"exchange", JOIN_EXCHANGE, false},
														   {"ship", JOIN_SHIP, false},
														   {NULL, 0, false}};

/* clang-format off */
static const StringSetting string_settings[] = {
	{"pgcluster.advertise_host", &config_advertise_host, "", PGC_SIGHUP, 0,
	 "Host name or address by which other servers reach this one; empty: the host's name."},
	{"pgcluster.decision", &config_decision, "", PGC_USERSET, GUC_NOT_IN_SAMPLE,
	 "Name of the two-phase commit that the present transaction decides; set by the coordinator, not for anybody else."},
	{"pgcluster.etcd_cacert", &config_etcd_cacert, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "File with the certificates of the authorities that etcd's certificate is checked against."},
	{"pgcluster.etcd_cert", &config_etcd_cert, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "File with the client certificate shown to etcd."},
	{"pgcluster.etcd_endpoints", &config_etcd_endpoints, "", PGC_SIGHUP, GUC_LIST_INPUT,
	 "Members of etcd as host:port, separated by commas; empty: no high availability."},
	{"pgcluster.etcd_key", &config_etcd_key, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "File with the private key of the client certificate shown to etcd."},
	{"pgcluster.etcd_password_file", &config_etcd_password_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "File whose first line is the password of etcd_username."},
	{"pgcluster.etcd_username", &config_etcd_username, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "User name for etcd; empty: no authentication."},
	{"pgcluster.http_allowlist", &config_http_allowlist, "", PGC_SIGHUP, GUC_LIST_INPUT,
	 "Addresses and networks from which the cluster may be changed over HTTP, separated by commas; empty: all, if clients are authenticated."},
	{"pgcluster.http_auth_password_file", &config_http_auth_password_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "File whose first line is the password of http_auth_username."},
	{"pgcluster.http_auth_username", &config_http_auth_username, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "User name that requests which change the cluster must give; empty: none."},
	{"pgcluster.http_ca_file", &config_http_ca_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "File with the certificates of the authorities that clients' certificates are checked against."},
	{"pgcluster.http_cert_file", &config_http_cert_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "File with the certificate of the HTTP server; empty: no TLS."},
	{"pgcluster.http_ciphers", &config_http_ciphers, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "Versions and ciphers of TLS for the HTTP server, as a priority string of GnuTLS; empty: the defaults, TLS 1.2 at least."},
	{"pgcluster.http_key_file", &config_http_key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "File with the private key of that certificate; empty: it is in the same file."},
	{"pgcluster.http_listen", &config_http_listen, "127.0.0.1", PGC_SIGHUP, GUC_LIST_INPUT,
	 "IP addresses that the HTTP server listens on, separated by commas; * is all."},
	{"pgcluster.namespace", &config_namespace, "/service/", PGC_POSTMASTER, 0,
	 "Prefix of all keys in etcd."},
	{"pgcluster.node_conninfo", &config_node_conninfo, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	 "libpq parameters added to connections from this server to other nodes (sslmode, passfile, ...)."},
	{"pgcluster.node_name", &config_node_name, NULL, PGC_POSTMASTER, 0,
	 "Name of this member, unique in its group; default: the host's name."},
	{"pgcluster.replication_user", &config_replication_user, "replicator", PGC_SIGHUP, 0,
	 "Role by which standbys connect for replication."},
	{"pgcluster.scope", &config_scope, "main", PGC_POSTMASTER, 0,
	 "Name of the cluster; the same on every member."},
	{"pgcluster.tags", &config_tags, "{}", PGC_SIGHUP, 0,
	 "JSON object with this member's tags (nofailover, ...)."},
};

static const IntSetting int_settings[] = {
	{"pgcluster.advertise_port", &config_advertise_port, 0, 0, 65535, PGC_SIGHUP, 0,
	 "Port by which other servers reach this one; 0: the server's own port."},
	{"pgcluster.analyze_naptime", &config_analyze_naptime, 60, 0, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S,
	 "Time between two looks at whether the statistics of distributed tables are to be collected anew; 0: they are not."},
	{"pgcluster.fence_wait", &config_fence_wait, 5000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS,
	 "How long a commit waits behind the closed fence before it fails."},
	{"pgcluster.group", &config_group, 0, -1, INT_MAX, PGC_POSTMASTER, 0,
	 "Group of this server: 0 is the coordinator group, 1 and up are worker groups, -1 is a cluster without groups."},
	{"pgcluster.http_port", &config_http_port, 8008, 0, 65535, PGC_SIGHUP, 0,
	 "Port of the HTTP server; 0: there is none."},
	{"pgcluster.max_cached_connections_per_node", &config_max_cached_connections, 1, 0, INT_MAX, PGC_USERSET, 0,
	 "Connections to a node that a session keeps after a transaction."},
	{"pgcluster.max_exchanged_size", &config_max_exchanged_size, 1048576, 0, MAX_KILOBYTES / 4, PGC_USERSET, GUC_UNIT_KB,
	 "Size up to which rows of a join are exchanged between nodes, each row to its shard; 0: none are."},
	{"pgcluster.max_session_connections_per_node", &config_max_session_connections, 4, 1, 64, PGC_USERSET, 0,
	 "Most connections to a node that a session uses for one query."},
	{"pgcluster.max_shared_connections_per_node", &config_max_shared_connections, 0, -1, INT_MAX, PGC_SIGHUP, 0,
	 "Most connections from all sessions of this server to a node; 0: nine tenths of max_connections, -1: no limit."},
	{"pgcluster.max_shipped_size", &config_max_shipped_size, 4096, 0, MAX_KILOBYTES / 4, PGC_USERSET, GUC_UNIT_KB,
	 "Size up to which a relation that a query joins may travel to the shards of another; 0: none does."},
	{"pgcluster.probe_timeout", &config_probe_timeout, 5000, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
	 "How long a leader may fail to write or to take connections before it gives the lead up; 0: for ever."},
	{"pgcluster.replica_max_lag", &config_replica_max_lag, 16384, 0, INT_MAX, PGC_USERSET, GUC_UNIT_KB,
	 "How far a standby that is read from may be behind its leader."},
	{"pgcluster.statement_snapshot", &config_statement_snapshot, 0, -10000, 10000, PGC_USERSET, GUC_NOT_IN_SAMPLE,
	 "Which of the snapshots it keeps a node reads with; set by the coordinator, not for anybody else."},
};

static const BoolSetting bool_settings[] = {
	{"pgcluster.fence_reads", &config_fence_reads, false, PGC_USERSET, 0,
	 "Also refuses queries on a primary that cannot prove that it leads."},
	{"pgcluster.http_allowlist_include_members", &config_http_allowlist_include_members, false, PGC_SIGHUP, 0,
	 "Adds the addresses of all members of the cluster to http_allowlist."},
};

static const EnumSetting enum_settings[] = {
	{"pgcluster.etcd_protocol", &config_etcd_protocol, ETCD_HTTP, etcd_protocols, PGC_SIGHUP, 0,
	 "Protocol spoken with etcd."},
	{"pgcluster.http_verify_client", &config_http_verify_client, HTTP_VERIFY_NONE, verify_client, PGC_SIGHUP, 0,
	 "Which requests over TLS need a certificate of the client: none, those that change the cluster (optional), or all (required)."},
	{"pgcluster.insert_strategy", &config_insert_strategy, INSERT_AUTO, insert_strategies, PGC_USERSET, 0,
	 "How rows of INSERT ... SELECT reach their shards: as costs say, pulled through the coordinator, or exchanged between nodes wherever possible."},
	{"pgcluster.join_strategy", &config_join_strategy, JOIN_AUTO, join_strategies, PGC_USERSET, 0,
	 "How tables are joined on other columns than they are split by: as costs say, with rows pulled to the coordinator, with rows of both sides exchanged between nodes, or with the smaller side shipped to the shards of the other."},
	{"pgcluster.read_consistency", &config_read_consistency, READ_SHARD, read_consistencies, PGC_USERSET, 0,
	 "What a read over several shards sees of transactions that are committed meanwhile: each shard for itself, or each transaction everywhere or nowhere (atomic)."},
	{"pgcluster.read_from_replicas", &config_read_from_replicas, REPLICAS_NEVER, replica_choices, PGC_USERSET, 0,
	 "Whether transactions that only read prefer a standby of each worker group to its leader."},
};
/* clang-format on */

static char *
host_name(void)
{
	static char name[256];

	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		strlcpy(name, "localhost", sizeof(name));
	return name;
}

void (*config_on_sync_serial)(int serial) = NULL;

static void
assign_sync_serial(int newval, void *extra)
{
	if (config_on_sync_serial)
		config_on_sync_serial(newval);
}

/* Others have to know at once which value a process has come to. */
static void
define_sync_serial(void)
{
	DefineCustomIntVariable(
		"pgcluster.sync_serial",
		"Set by the agent with each synchronous_standby_names that it sets; not for anybody else.",
		NULL, &config_sync_serial, 0, 0, INT_MAX, PGC_SIGHUP, GUC_NOT_IN_SAMPLE, NULL,
		assign_sync_serial, NULL);
}

void
config_init(void)
{
	for (size_t i = 0; i < lengthof(string_settings); i++)
	{
		const StringSetting *s = &string_settings[i];

		DefineCustomStringVariable(s->name, s->purpose, NULL, s->variable,
								   s->boot ? s->boot : host_name(), s->context, s->flags, NULL,
								   NULL, NULL);
	}
	for (size_t i = 0; i < lengthof(int_settings); i++)
	{
		const IntSetting *s = &int_settings[i];

		DefineCustomIntVariable(s->name, s->purpose, NULL, s->variable, s->boot, s->min, s->max,
								s->context, s->flags, NULL, NULL, NULL);
	}
	for (size_t i = 0; i < lengthof(bool_settings); i++)
	{
		const BoolSetting *s = &bool_settings[i];

		DefineCustomBoolVariable(s->name, s->purpose, NULL, s->variable, s->boot, s->context,
								 s->flags, NULL, NULL, NULL);
	}
	for (size_t i = 0; i < lengthof(enum_settings); i++)
	{
		const EnumSetting *s = &enum_settings[i];

		DefineCustomEnumVariable(s->name, s->purpose, NULL, s->variable, s->boot, s->options,
								 s->context, s->flags, NULL, NULL, NULL);
	}
	define_sync_serial();
	MarkGUCPrefixReserved("pgcluster");
}
