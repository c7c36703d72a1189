/*-------------------------------------------------------------------------
 * error.c
 *	  Errors and notices of nodes, told here as if they were our own.
 *
 * libpq hands over a notice in the middle of its work, where nothing may be
 * thrown and nothing sent to the client; so notices are kept and told at the
 * next wait.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "shard/remote/connection.h"
#include "shard/remote/refusal.h"

#define MAX_NOTICES 64
#define NOTICE_TEXT 1000

typedef struct Notice
{
	int level;
	int code;
	char message[NOTICE_TEXT];
	char detail[NOTICE_TEXT];
	char hint[NOTICE_TEXT];
} Notice;

static Notice *notices = NULL;
static int nnotices = 0;

/* The SQLSTATE of an error as errcode() takes it; 0 when libpq itself made it. */
int
error_code(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (state == NULL || strlen(state) != 5)
		return 0;
	return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

static bool
error_means_shutdown(int code)
{
	return code == ERRCODE_ADMIN_SHUTDOWN || code == ERRCODE_CRASH_SHUTDOWN ||
		   code == ERRCODE_CANNOT_CONNECT_NOW;
}

/*
 * True for errors that say "not this node, or not now": it shuts down, or
 * does not lead any more.
 */
bool
error_means_elsewhere(int code)
{
	return error_means_shutdown(code) || code == ERRCODE_READ_ONLY_SQL_TRANSACTION;
}

/*
 * Copies libpq's message for people: the first line, without the SQLSTATE of
 * the verbose form.
 */
void
error_describe(const char *text, char *to, size_t size)
{
	const char *code;
	char *end;

	if (text == NULL || text[0] == '\0')
		text = "The connection was lost.";
	strlcpy(to, text, size);
	if ((end = strchr(to, '\n')) != NULL)
		*end = '\0';
	code = strstr(to, ":  ");
	if (code != NULL && strlen(code) > 10 && code[8] == ':')
		memmove(to + (code - to) + 3, code + 10, strlen(code + 10) + 1);
}

static char *
field(const PGresult *result, int code)
{
	const char *value = PQresultErrorField(result, code);

	return value ? pstrdup(value) : NULL;
}

typedef struct NodeError
{
	int code;
	const char *hint;
	char *message, *detail, *context;
	char *names[5];
} NodeError;

/* In the order of NodeError.names. */
static const int name_fields[] = {PG_DIAG_SCHEMA_NAME, PG_DIAG_TABLE_NAME, PG_DIAG_COLUMN_NAME,
								  PG_DIAG_DATATYPE_NAME, PG_DIAG_CONSTRAINT_NAME};

static void
raise_node_error(RemoteConnection *c, PGresult *result, bool copy) __attribute__((noreturn));

/* "copy": the error is that of the connection's last COPY. */
static void
raise_node_error(RemoteConnection *c, PGresult *result, bool copy)
{
	NodeError e = {.code = error_code(result)};

	e.message = field(result, PG_DIAG_MESSAGE_PRIMARY);
	e.detail = field(result, PG_DIAG_MESSAGE_DETAIL);
	e.hint = field(result, PG_DIAG_MESSAGE_HINT);
	e.context = field(result, PG_DIAG_CONTEXT);
	if (copy && e.context != NULL)
		e.context = copy_context(c, e.context);
	for (size_t i = 0; i < lengthof(name_fields); i++)
		e.names[i] = field(result, name_fields[i]);
	if (refusal_is_committed(result))
		e.hint = "The procedure has committed on its node, so it cannot be called anew on the "
				 "coordinator. To have all its calls run there, use create_distributed_function "
				 "without an argument.";
	if (refusal_is_marked(result))
	{
		e.code = ERRCODE_FEATURE_NOT_SUPPORTED;
		memset(e.names, 0, sizeof(e.names));
	}
	if (e.message == NULL)
		e.message = pchomp(PQresultErrorMessage(result));
	PQclear(result);

	ereport(ERROR,
			(errcode(e.code ? e.code : ERRCODE_CONNECTION_FAILURE),
			 errmsg_internal("%s", e.message), e.detail ? errdetail_internal("%s", e.detail) : 0,
			 e.hint ? errhint("%s", e.hint) : 0, e.context ? errcontext("%s", e.context) : 0,
			 errcontext("node %s, group %d", c->node, c->key.group_id),
			 e.names[0] ? err_generic_string(PG_DIAG_SCHEMA_NAME, e.names[0]) : 0,
			 e.names[1] ? err_generic_string(PG_DIAG_TABLE_NAME, e.names[1]) : 0,
			 e.names[2] ? err_generic_string(PG_DIAG_COLUMN_NAME, e.names[2]) : 0,
			 e.names[3] ? err_generic_string(PG_DIAG_DATATYPE_NAME, e.names[3]) : 0,
			 e.names[4] ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, e.names[4]) : 0));
}

/* Raises the node's error; "result" is cleared. */
void
error_raise(RemoteConnection *c, PGresult *result)
{
	raise_node_error(c, result, false);
}

/* The connection went while the node may have committed. */
void
error_raise_unknown(RemoteConnection *c)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
			 errmsg("it is not known whether the transaction was committed"),
			 errdetail("The connection to node %s was lost during COMMIT: %s", c->node, c->failure),
			 errcontext("node %s, group %d", c->node, c->key.group_id)));
}

/*
 * Raises the loss of the connection.  When the node had already worked for
 * this transaction, its work is gone and the transaction can be run again:
 * that is what 40001 tells drivers.
 */
void
error_raise_lost(RemoteConnection *c)
{
	if (c->lost)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("the transaction was lost with the connection to node %s", c->node),
						errdetail_internal("%s", c->failure),
						errhint("The transaction can be tried again."),
						errcontext("node %s, group %d", c->node, c->key.group_id)));
	/* Not the SQLSTATE by which drivers learn that their own session ends. */
	if (error_means_shutdown(c->failure_code))
		c->failure_code = ERRCODE_CONNECTION_FAILURE;
	ereport(ERROR, (errcode(c->failure_code),
					errmsg("could not reach node %s of group %d", c->node[0] ? c->node : "unknown",
						   c->key.group_id),
					errdetail_internal("%s", c->failure)));
}

/* Raises what a command that nobody waited for left behind. */
void
error_raise_pending(RemoteConnection *c)
{
	PGresult *result = c->pending_error;
	bool copy = c->pending_copy;

	if (result == NULL)
		return;
	c->pending_error = NULL;
	c->pending_copy = false;
	raise_node_error(c, result, copy);
}

/*
 * Notices
 */

static int
notice_level(const PGresult *result)
{
	static const struct
	{
		const char *name;
		int level;
	} levels[] = {{"WARNING", WARNING}, {"INFO", INFO}, {"NOTICE", NOTICE}};
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	for (size_t i = 0; severity && i < lengthof(levels); i++)
	{
		if (strcmp(severity, levels[i].name) == 0)
			return levels[i].level;
	}
	return DEBUG1;
}

/* Called by libpq: must not throw. */
void
notice_receive(void *arg, const PGresult *result)
{
	Notice *n;
	const char *text;

	if (notices == NULL)
		notices = malloc(sizeof(Notice) * MAX_NOTICES);
	if (notices == NULL || nnotices == MAX_NOTICES)
		return;
	/* The loss of the connection is dealt with as such. */
	if (error_means_elsewhere(error_code(result)))
		return;

	n = &notices[nnotices++];
	memset(n, 0, sizeof(*n));
	n->level = notice_level(result);
	n->code = error_code(result);
	if ((text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)) != NULL)
		strlcpy(n->message, text, sizeof(n->message));
	if ((text = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL)) != NULL)
		strlcpy(n->detail, text, sizeof(n->detail));
	if ((text = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT)) != NULL)
		strlcpy(n->hint, text, sizeof(n->hint));
}

/* Tells the client what has gathered. */
void
notice_emit(void)
{
	int n = nnotices;

	if (n == 0)
		return;
	nnotices = 0;
	for (int i = 0; i < n; i++)
	{
		Notice *notice = &notices[i];

		ereport(notice->level, (errcode(notice->code), errmsg_internal("%s", notice->message),
								notice->detail[0] ? errdetail_internal("%s", notice->detail) : 0,
								notice->hint[0] ? errhint("%s", notice->hint) : 0));
	}
}

/* For ends of transactions, where the nodes' comments help nobody. */
void
notice_drop(void)
{
	nnotices = 0;
}
