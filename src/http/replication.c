/*-------------------------------------------------------------------------
 * replication.c
 *	  Who streams from this server.
 *
 * As in pg_stat_replication, but read where there is no database connection,
 * so that names of roles cannot be looked up.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/ip.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/spin.h"
#include "utils/backend_status.h"

#include "base/compat.h"
#include "http/replication.h"

/* What a walsender says of itself, copied under its lock. */
typedef struct Sender
{
	pid_t pid;
	WalSndState state;
	int sync_priority;
} Sender;

static const char *const state_names[] = {[WALSNDSTATE_STARTUP] = "startup",
										  [WALSNDSTATE_BACKUP] = "backup",
										  [WALSNDSTATE_CATCHUP] = "catchup",
										  [WALSNDSTATE_STREAMING] = "streaming",
										  [WALSNDSTATE_STOPPING] = "stopping"};

static bool
read_sender(int i, Sender *sender)
{
	WalSnd *shared = &WalSndCtl->walsnds[i];

	SpinLockAcquire(&shared->mutex);
	sender->pid = shared->pid;
	sender->state = shared->state;
	/* Who confirms nothing is nobody's synchronous standby. */
	sender->sync_priority = XLogRecPtrIsInvalid(shared->flush) ? 0 : shared->sync_standby_priority;
	SpinLockRelease(&shared->mutex);
	return sender->pid != 0;
}

static const char *
sync_state(const Sender *sender, int index, const SyncRepStandbyData *standbys, int nstandbys)
{
	if (sender->sync_priority == 0)
		return "async";
	for (int i = 0; i < nstandbys; i++)
		if (standbys[i].walsnd_index == index && standbys[i].pid == sender->pid)
			return SyncRepConfig->syncrep_method == SYNC_REP_PRIORITY ? "sync" : "quorum";
	return "potential";
}

static const PgBackendStatus *
find_backend(pid_t pid, int nbackends)
{
	for (int i = 1; i <= nbackends; i++)
	{
		const PgBackendStatus *status = &pgstat_get_local_beentry_by_index(i)->backendStatus;

		if (status->st_procpid == pid)
			return status;
	}
	return NULL;
}

static json_object *
client_address(const PgBackendStatus *backend)
{
	const SockAddr *client = &backend->st_clientaddr;
	char host[NI_MAXHOST];

	if (client->addr.ss_family != AF_INET && client->addr.ss_family != AF_INET6)
		return NULL;
	if (pg_getnameinfo_all(&client->addr, client->salen, host, sizeof(host), NULL, 0,
						   NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return NULL;
	return json_object_new_string(host);
}

static json_object *
describe_sender(const Sender *sender, const PgBackendStatus *backend, const char *sync)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "application_name", json_object_new_string(backend->st_appname));
	json_object_object_add(object, "client_addr", client_address(backend));
	json_object_object_add(object, "state", json_object_new_string(state_names[sender->state]));
	json_object_object_add(object, "sync_state", json_object_new_string(sync));
	json_object_object_add(object, "sync_priority", json_object_new_int(sender->sync_priority));
	return object;
}

json_object *
http_replication(void)
{
	SyncRepStandbyData *standbys = NULL;
	int nstandbys = SyncRepGetCandidateStandbys(&standbys);
	int nbackends = pgstat_fetch_stat_numbackends();
	json_object *array = NULL;

	for (int i = 0; i < max_wal_senders; i++)
	{
		const PgBackendStatus *backend;
		Sender sender;

		if (!read_sender(i, &sender) || (backend = find_backend(sender.pid, nbackends)) == NULL)
			continue;
		if (array == NULL)
			array = json_object_new_array();
		json_object_array_add(
			array, describe_sender(&sender, backend, sync_state(&sender, i, standbys, nstandbys)));
	}
	pgstat_clear_backend_activity_snapshot();
	return array;
}
