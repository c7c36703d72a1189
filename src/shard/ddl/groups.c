/*-------------------------------------------------------------------------
 * groups.c
 *	  The worker groups: joining, leaving, and what every group must have.
 *
 * A group joins with its row in pgcluster.member_group and with a copy of
 * every reference table and the shells of all tables; it leaves when it owns no shard.  Where a group is
 * reached, and the connection to it, is the remote layer's.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "ha/state.h"
#include "shard/ddl/distribute.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/roles.h"
#include "shard/maintenance/maintenance.h"
#include "shard/metadata/catalog.h"
#include "shard/metadata/lock.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

#define MAX_GROUPS 1024

/* What a server tells of itself. */
enum
{
	NODE_MAJOR_VERSION,
	NODE_HAS_PGCLUSTER,
	NODE_PREPARED_TRANSACTIONS,
	NODE_IN_RECOVERY,
	NODE_ENCODING,
	NODE_IDENTITY,
	NODE_NFIELDS
};

#define IDENTITY                                                     \
	"(SELECT system_identifier FROM pg_catalog.pg_control_system())" \
	" || ' ' || pg_catalog.current_setting('port')"                  \
	" || ' ' || extract(epoch FROM pg_catalog.pg_postmaster_start_time())"

static const char node_query[] =
	"SELECT current_setting('server_version_num')::integer / 10000,"
	" EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'pgcluster.scope'),"
	" current_setting('max_prepared_transactions')::integer,"
	" pg_catalog.pg_is_in_recovery(),"
	" pg_catalog.current_setting('server_encoding')," IDENTITY;

/* "inside": in the transaction, and sees what was made there before. */
static RemoteTask *
start_asking(int group_id, const char *sql, bool inside, bool impatient)
{
	RemoteQuery query = {
		.group_id = group_id, .sql = sql, .writes = inside, .impatient = impatient};

	return remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
}

static char **
answer(RemoteTask *task, int nfields)
{
	char **fields = palloc0(nfields * sizeof(char *));
	PGresult *row;

	while ((row = remote_task_next(task)) != NULL)
	{
		for (int i = 0; i < nfields && i < PQnfields(row); i++)
			fields[i] = PQgetisnull(row, 0, i) ? NULL : pstrdup(PQgetvalue(row, 0, i));
		PQclear(row);
	}
	remote_task_end(task);
	return fields;
}

static char ***
ask_all(List *group_ids, const char *sql, int nfields, bool inside, bool impatient)
{
	char ***answers = palloc0(Max(list_length(group_ids), 1) * sizeof(char **));
	List *tasks = NIL;
	ListCell *lc;

	foreach (lc, group_ids)
		tasks = lappend(tasks, start_asking(lfirst_int(lc), sql, inside, impatient));
	foreach (lc, tasks)
		answers[foreach_current_index(lc)] = answer(lfirst(lc), nfields);
	return answers;
}

char ***
groups_ask(List *group_ids, const char *sql, int nfields)
{
	return ask_all(group_ids, sql, nfields, true, true);
}

static char **
ask_node(int group_id)
{
	RemoteQuery query = {.group_id = group_id, .sql = node_query};
	char **fields =
		answer(remote_task_start(&query, CurrentMemoryContext, NULL, NULL), NODE_NFIELDS);

	if (fields[0] == NULL)
		elog(ERROR, "node of group %d told nothing of itself", group_id);
	return fields;
}

/* Raises an error if the group's node cannot take part. */
static void
check_node(char **node, const char *host, int port)
{
	const char *detail = NULL;
	const char *hint = NULL;

	if (atoi(node[NODE_MAJOR_VERSION]) != server_major_version())
	{
		detail = psprintf("It runs PostgreSQL %s, this server PostgreSQL %d.",
						  node[NODE_MAJOR_VERSION], server_major_version());
		hint = "All nodes of a cluster need the same major version.";
	}
	else if (node[NODE_HAS_PGCLUSTER][0] != 't')
	{
		detail = "It does not load pgcluster.";
		hint = "Add \"pgcluster\" to its shared_preload_libraries and restart it.";
	}
	else if (atoi(node[NODE_PREPARED_TRANSACTIONS]) == 0)
	{
		detail = "Its max_prepared_transactions is 0.";
		hint =
			"Two-phase commit needs at least as many as there are connections; set it and restart "
			"the node.";
	}
	else if (node[NODE_IN_RECOVERY][0] == 't')
	{
		detail = "It is a standby.";
		hint = "Name the primary.";
	}
	else if (strcmp(node[NODE_ENCODING], GetDatabaseEncodingName()) != 0)
	{
		detail = psprintf("Its database has encoding %s, this one %s.", node[NODE_ENCODING],
						  GetDatabaseEncodingName());
		hint = "Use the same encoding on all nodes.";
	}
	if (detail != NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("node %s:%d cannot join the cluster", host, port),
						errdetail_internal("%s", detail), errhint("%s", hint)));
}

static void
refuse_known_node(int group_id, char **node, List *groups)
{
	ListCell *lc;

	foreach (lc, groups)
	{
		char **other = ask_node(lfirst_int(lc));

		if (strcmp(other[NODE_IDENTITY], node[NODE_IDENTITY]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("this node is in the cluster already, as group %d", lfirst_int(lc))));
	}
}

/* What node_query says of this server's identity. */
static char *
own_identity(void)
{
	MemoryContext context = CurrentMemoryContext;
	char *identity;

	SPI_connect();
	if (SPI_execute("SELECT " IDENTITY, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read what identifies this server");
	identity =
		MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return identity;
}

static int
free_group_id(List *groups)
{
	return groups == NIL ? 1 : llast_int(groups) + 1;
}

int
groups_add(const char *host, int port, int group_id)
{
	MemberGroupRow row = {0};
	List *groups;
	char **node;

	if (ha_enabled())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("groups are found through etcd"),
				 errhint("Start the node with the scope of this cluster and the number of its "
						 "group in pgcluster.group.")));
	lock_groups(ExclusiveLock);
	groups = metadata_groups();
	if (group_id == 0)
		group_id = free_group_id(groups);
	if (list_member_int(groups, group_id))
		ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
						errmsg("group %d is in the cluster already", group_id)));

	row.group_id = group_id;
	row.host = pstrdup(host);
	row.port = port;
	catalog_insert_group(&row);
	node = ask_node(group_id);
	check_node(node, host, port);
	refuse_known_node(group_id, node, groups);
	if (strcmp(node[NODE_IDENTITY], own_identity()) != 0)
		roles_join(group_id);
	distribute_join(group_id);
	if (list_member_int(groups_elsewhere(), group_id))
		objects_join(group_id);
	return group_id;
}

/*
 * Which addresses are of this server, as far as this session has asked; a
 * group that moves to another node has another address.
 */
typedef struct KnownAddress
{
	char *address;
	bool own;
} KnownAddress;

static List *known_addresses = NIL;

static KnownAddress *
find_address(const char *address)
{
	ListCell *lc;

	foreach (lc, known_addresses)
	{
		KnownAddress *known = lfirst(lc);

		if (strcmp(known->address, address) == 0)
			return known;
	}
	return NULL;
}

static void
learn_addresses(List *group_ids, bool impatient)
{
	char ***answers = ask_all(group_ids, "SELECT " IDENTITY, 1, false, impatient);
	char *own = own_identity();
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ListCell *lc;

	foreach (lc, group_ids)
	{
		KnownAddress *known = palloc(sizeof(*known));
		char *identity = answers[foreach_current_index(lc)][0];

		known->address = pstrdup(remote_group_address(lfirst_int(lc)));
		known->own = identity != NULL && strcmp(identity, own) == 0;
		known_addresses = lappend(known_addresses, known);
	}
	MemoryContextSwitchTo(old);
}

List *
groups_elsewhere(void)
{
	List *unknown = NIL;
	List *elsewhere = NIL;
	ListCell *lc;

	foreach (lc, metadata_groups())
	{
		if (find_address(remote_group_address(lfirst_int(lc))) == NULL)
			unknown = lappend_int(unknown, lfirst_int(lc));
	}
	if (unknown != NIL)
		learn_addresses(unknown, true);
	foreach (lc, metadata_groups())
	{
		KnownAddress *known = find_address(remote_group_address(lfirst_int(lc)));

		/* One that has moved meanwhile is no group that was this server. */
		if (known == NULL || !known->own)
			elsewhere = lappend_int(elsewhere, lfirst_int(lc));
	}
	return elsewhere;
}

bool
groups_is_elsewhere(int group_id)
{
	char *address = remote_group_address(group_id);
	KnownAddress *known = find_address(address);

	if (known == NULL)
	{
		learn_addresses(list_make1_int(group_id), false);
		known = find_address(address);
	}
	return known == NULL || !known->own;
}

static bool
owns_shard(int group_id)
{
	ListCell *lc;

	foreach (lc, catalog_read_colocations())
	{
		ColocationRow *row = lfirst(lc);
		int n;
		Shard *shards = catalog_read_shards(row->id, &n);

		for (int i = 0; i < n; i++)
		{
			if (shards[i].group_id == group_id)
				return true;
		}
	}
	return false;
}

void
groups_remove(int group_id)
{
	int ids[MAX_GROUPS];
	int n = ha_enabled() ? ha_groups(ids, MAX_GROUPS) : 0;

	lock_groups(ExclusiveLock);
	if (!list_member_int(metadata_groups(), group_id))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("group %d is not in the cluster", group_id)));
	for (int i = 0; i < n; i++)
	{
		if (ids[i] == group_id)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
							errmsg("group %d has members that are running", group_id),
							errhint("Stop them first.")));
	}
	if (owns_shard(group_id))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("group %d owns shards", group_id),
						errhint("Undistribute the tables first.")));

	if (metadata_any_table())
		recovery_end_group(group_id, ha_enabled());
	/* With etcd the members are gone by now, and their copies with them. */
	if (!ha_enabled())
	{
		distribute_leave(group_id);
		/* Who wrote there meanwhile has ended, but may have left something behind. */
		if (metadata_any_table())
			recovery_end_group(group_id, false);
	}
	catalog_delete_group(group_id);
}

void
groups_sync(void)
{
	int ids[MAX_GROUPS];
	int n = ha_enabled() ? ha_groups(ids, MAX_GROUPS) : 0;

	for (int i = 0; i < n; i++)
	{
		MemberGroupRow row = {0};

		if (ids[i] < 1 || list_member_int(metadata_groups(), ids[i]))
			continue;
		row.group_id = ids[i];
		catalog_insert_group(&row);
		roles_join(ids[i]);
		distribute_join(ids[i]);
		objects_join(ids[i]);
	}
}
