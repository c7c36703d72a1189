/*-------------------------------------------------------------------------
 * acting.c
 *	  A transaction that goes on as another user.
 *
 * SET ROLE and SECURITY DEFINER change the user within a transaction.  On a
 * node the transaction is that of one connection, and a second connection, of
 * the other user, would not see what the first has written.  So the first
 * goes on as the other user, by pgcluster.act_as().
 *
 * Nobody may do so who could not log in as that user.  The proof: a
 * connection of that user asks its node for a token, by pgcluster.vouch(),
 * for the process of the first connection; and the node makes it with a key
 * that never leaves its memory (HMAC, RFC 2104, over what it allows).  For
 * a role that cannot log in, as owners of functions often are, a connection
 * of the superuser vouches, as whom the maintenance worker connects too; all
 * that such a role does is done by the session's user acting as it.
 *
 * What must stay true: both functions are of use only as the whole statement
 * of a client, so that no function of a user's can have them called for it;
 * and when its transaction ends a session is its own user again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "shard/remote/connection.h"

#define KEY_LENGTH 32

#define VOUCH_SQL "SELECT pgcluster.vouch($1::pg_catalog.int4, $2::pg_catalog.text)"
#define ACT_SQL "SELECT pgcluster.act_as($1::pg_catalog.text, $2::pg_catalog.bytea)"
#define ACT_END_SQL "SELECT pgcluster.act_as(NULL, NULL)"

/* What a user's process was allowed; in the session's memory. */
typedef struct Token
{
	Oid user;
	int pid; /* of a process on ... */
	char node[sizeof(((RemoteConnection *) NULL)->node)];
	char text[2 * PG_SHA256_DIGEST_LENGTH + 3]; /* as a literal of type bytea */
} Token;

typedef struct Shared
{
	uint8 key[KEY_LENGTH];
} Shared;

static Shared *shared;
static List *tokens = NIL;

/* In a node's session: it is another user until its transaction ends. */
static bool acts = false;

static Size shared_size(void);
static void shared_attach(void *area, LWLockPadded *locks, bool found);
static void xact_callback(XactEvent event, void *arg);
static void open_first(RemoteConnection *c);
static const Token *find_token(Oid user, const RemoteConnection *c);
static void keep_token(Oid user, const RemoteConnection *c, const char *text);
static void check_statement(const char *sql);
static void make_token(int pid, Oid user, uint8 *token);

static const ShmemArea area = {"pgcluster acting", shared_size, 0, shared_attach};

PGCLUSTER_FUNCTION(pgcluster_vouch);
PGCLUSTER_FUNCTION(pgcluster_act_as);

void
acting_init(void)
{
	shmem_register(&area);
	RegisterXactCallback(xact_callback, NULL);
}

static Size
shared_size(void)
{
	return sizeof(Shared);
}

static void
shared_attach(void *memory, LWLockPadded *locks, bool found)
{
	shared = memory;
	if (!found && !pg_strong_random(shared->key, KEY_LENGTH))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random key")));
}

/*
 * The coordinator's side
 */

void
acting_prepare(RemoteConnection *c)
{
	Oid user = GetUserId();
	bool by_superuser = !acting_may_connect(user);
	RemoteConnection *other;
	RemoteTask *task;
	PGresult *row;
	char pid[16];
	const char *values[] = {pid, GetUserNameFromId(user, false)};
	RemoteQuery query = {.group_id = c->key.group_id,
						 .sql = VOUCH_SQL,
						 .nparams = 2,
						 .values = values,
						 .whole = true};

	if (c->state != CONNECTION_OPEN)
		open_first(c);
	if (c->state != CONNECTION_OPEN || find_token(user, c) != NULL)
		return;
	snprintf(pid, sizeof(pid), "%d", PQbackendPID(c->conn));
	other = connection_of_user(c->key.group_id, by_superuser ? BOOTSTRAP_SUPERUSERID : user);
	task = task_start_beside(other, &query, CurrentMemoryContext);
	row = remote_task_next(task);
	if (row == NULL)
		elog(ERROR, "node %s did not vouch for a user", other->node);
	if (c->conn != NULL)
		keep_token(user, c, PQgetvalue(row, 0, 0));
	PQclear(row);
	remote_task_end(task);
	if (by_superuser && dlist_is_empty(&other->tasks) && !other->is_active)
		connection_close(other);
}

static void
open_first(RemoteConnection *c)
{
	RemoteQuery query = {.group_id = c->key.group_id, .sql = "SELECT", .whole = true};
	RemoteTask *task = task_start_beside(c, &query, CurrentMemoryContext);

	PQclear(remote_task_next(task));
	remote_task_end(task);
}

/* Can the session connect as this user, or take it on when it has connected as its own? */
bool
acting_may_connect(Oid user)
{
	HeapTuple tuple;
	bool can_login;

	if (user == GetSessionUserId() || is_member_of_role(GetSessionUserId(), user))
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(user));
	can_login = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return can_login;
}

bool
acting_send(RemoteConnection *c, Oid user, int *commands)
{
	const Token *token;
	const char *values[2];

	if (c->acting == user)
		return true;
	(*commands)++;
	if (user == c->key.user)
	{
		c->acting = user;
		return PQsendQueryParams(c->conn, ACT_END_SQL, 0, NULL, NULL, NULL, NULL, 0) == 1;
	}
	token = find_token(user, c);
	values[0] = GetUserNameFromId(user, false);
	values[1] = token ? token->text : "";
	c->acting = user;
	return PQsendQueryParams(c->conn, ACT_SQL, 2, NULL, values, NULL, NULL, 0) == 1;
}

void
acting_end(RemoteConnection *c)
{
	if (c->level == 0 || c->acting == c->key.user)
		return;
	c->acting = c->key.user;
	task_internal_forget(c, ACT_END_SQL, false);
}

static const Token *
find_token(Oid user, const RemoteConnection *c)
{
	int pid = PQbackendPID(c->conn);
	ListCell *cell;

	foreach (cell, tokens)
	{
		const Token *token = lfirst(cell);

		if (token->user == user && token->pid == pid && strcmp(token->node, c->node) == 0)
			return token;
	}
	return NULL;
}

/* A process of that number that comes later may be of a server with another key. */
void
acting_forget(const RemoteConnection *c)
{
	int pid = PQbackendPID(c->conn);
	ListCell *cell;

	foreach (cell, tokens)
	{
		Token *token = lfirst(cell);

		if (token->pid != pid || strcmp(token->node, c->node) != 0)
			continue;
		tokens = foreach_delete_current(tokens, cell);
		pfree(token);
	}
}

static void
keep_token(Oid user, const RemoteConnection *c, const char *text)
{
	MemoryContext old = MemoryContextSwitchTo(remote_context());
	Token *token;

	token = palloc0(sizeof(Token));
	token->user = user;
	token->pid = PQbackendPID(c->conn);
	strlcpy(token->node, c->node, sizeof(token->node));
	strlcpy(token->text, text, sizeof(token->text));
	tokens = lappend(tokens, token);
	MemoryContextSwitchTo(old);
}

/*
 * The node's side
 */

static void
xact_callback(XactEvent event, void *arg)
{
	if (!acts)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			SetUserIdAndSecContext(GetOuterUserId(), 0);
			acts = false;
			break;
		case XACT_EVENT_ABORT: /* the server has done it */
			acts = false;
			break;
		default:
			break;
	}
}

static void
check_statement(const char *sql)
{
	if (debug_query_string == NULL || strcmp(debug_query_string, sql) != 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only the coordinator can change the user of a transaction")));
}

static void
make_token(int pid, Oid user, uint8 *token)
{
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);
	uint32 allowed[] = {(uint32) pid, user, MyDatabaseId};

	if (context == NULL || pg_hmac_init(context, shared->key, KEY_LENGTH) < 0 ||
		pg_hmac_update(context, (uint8 *) allowed, sizeof(allowed)) < 0 ||
		pg_hmac_final(context, token, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute a token");
	pg_hmac_free(context);
}

/* pgcluster.vouch(pid integer, role text): lets the process go on as the role, this user's own unless it is a superuser. */
Datum
pgcluster_vouch(PG_FUNCTION_ARGS)
{
	bytea *token = palloc0(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	Oid user;

	check_statement(VOUCH_SQL);
	user = get_role_oid(text_to_cstring(PG_GETARG_TEXT_PP(1)), false);
	if (user != GetUserId() && !superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied to vouch for role \"%s\"",
							   GetUserNameFromId(user, false))));
	SET_VARSIZE(token, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	make_token(PG_GETARG_INT32(0), user, (uint8 *) VARDATA(token));
	PG_RETURN_BYTEA_P(token);
}

/* pgcluster.act_as(role text, token bytea): goes on as the role; as its own user if null. */
Datum
pgcluster_act_as(PG_FUNCTION_ARGS)
{
	uint8 expected[PG_SHA256_DIGEST_LENGTH];
	bytea *token;
	Oid user;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
	{
		check_statement(ACT_END_SQL);
		SetUserIdAndSecContext(GetOuterUserId(), 0);
		acts = false;
		PG_RETURN_VOID();
	}
	check_statement(ACT_SQL);
	user = get_role_oid(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	token = PG_GETARG_BYTEA_PP(1);
	make_token(MyProcPid, user, expected);
	if (VARSIZE_ANY_EXHDR(token) != PG_SHA256_DIGEST_LENGTH ||
		timingsafe_bcmp(VARDATA_ANY(token), expected, PG_SHA256_DIGEST_LENGTH) != 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied to act as role \"%s\"",
							   GetUserNameFromId(user, false))));
	SetUserIdAndSecContext(user, SECURITY_LOCAL_USERID_CHANGE);
	acts = true;
	PG_RETURN_VOID();
}
