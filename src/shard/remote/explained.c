/*-------------------------------------------------------------------------
 * explained.c
 *	  The plan of a statement that another node runs: the node that is asked.
 *
 * Decides which statements are run with instrumentation, see explained.h,
 * and writes down how they went.  What is asked, and how it is shown, is
 * executor/explain.c's.
 *
 * What must stay true: without the mark nothing changes, and of a statement
 * with it only the outermost query counts.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/explain.h"
#include "executor/executor.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "shard/remote/explained.h"

static ExecutorStart_hook_type prev_start = NULL;
static ExecutorEnd_hook_type prev_end = NULL;

static QueryDesc *explaining = NULL; /* the query that is to be written down */
static int explaining_options;
static int explaining_number;

/* What is kept, in TopMemoryContext. */
#define MAX_KEPT 32

typedef struct Explained
{
	int number;
	char *text; /* NULL: free */
} Explained;

static Explained kept[MAX_KEPT];
static int next_kept = 0;

PGCLUSTER_FUNCTION(pgcluster_explained);

const char *
explained_skip_mark(const char *sql)
{
	const char *end;

	if (strncmp(sql, EXPLAINED_MARK, strlen(EXPLAINED_MARK)) != 0 ||
		(end = strstr(sql, "*/ ")) == NULL)
		return sql;
	return end + 3;
}

static void
keep(int number, const char *text)
{
	char *copy = MemoryContextStrdup(TopMemoryContext, text);
	Explained *entry = &kept[next_kept];

	next_kept = (next_kept + 1) % MAX_KEPT;
	if (entry->text != NULL)
		pfree(entry->text);
	entry->text = copy;
	entry->number = number;
}

static void
forget_query(void *arg)
{
	if (explaining == arg)
		explaining = NULL;
}

static void
begin_explaining(QueryDesc *query)
{
	MemoryContextCallback *callback =
		MemoryContextAllocZero(CurrentMemoryContext, sizeof(*callback));

	if (sscanf(debug_query_string + strlen(EXPLAINED_MARK), "%d %d", &explaining_options,
			   &explaining_number) != 2)
		return;
	query->instrument_options |=
		(explaining_options & EXPLAINED_TIMING) ? INSTRUMENT_TIMER : INSTRUMENT_ROWS;
	if (explaining_options & EXPLAINED_BUFFERS)
		query->instrument_options |= INSTRUMENT_BUFFERS;
	if (explaining_options & EXPLAINED_WAL)
		query->instrument_options |= INSTRUMENT_WAL;
	/* An error takes the query away without its end. */
	callback->func = forget_query;
	callback->arg = query;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	explaining = query;
}

static void
pgcluster_start(QueryDesc *query, int eflags)
{
	if (debug_query_string != NULL && debug_query_string[0] == EXPLAINED_MARK[0] &&
		debug_query_string[2] == EXPLAINED_MARK[2] && explaining == NULL &&
		explained_skip_mark(debug_query_string) != debug_query_string)
		begin_explaining(query);
	if (prev_start)
		prev_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

char *
explained_text(QueryDesc *query, int options, bool analyze)
{
	ExplainState *es = NewExplainState();

	es->analyze = analyze;
	es->verbose = (options & EXPLAINED_VERBOSE) != 0;
	es->costs = (options & EXPLAINED_COSTS) != 0;
	es->buffers = (options & EXPLAINED_BUFFERS) != 0;
	es->wal = (options & EXPLAINED_WAL) != 0;
	es->timing = (options & EXPLAINED_TIMING) != 0;
	es->format = (options & EXPLAINED_JSON) ? EXPLAIN_FORMAT_JSON : EXPLAIN_FORMAT_TEXT;
	ExplainBeginOutput(es);
	ExplainOpenGroup("Query", NULL, true, es);
	ExplainPrintPlan(es, query);
	if (analyze)
		ExplainPrintTriggers(es, query);
	ExplainCloseGroup("Query", NULL, true, es);
	ExplainEndOutput(es);
	return es->str->data;
}

static void
pgcluster_end(QueryDesc *query)
{
	if (query == explaining)
	{
		MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);

		explaining = NULL;
		keep(explaining_number, explained_text(query, explaining_options, true));
		MemoryContextSwitchTo(old);
	}
	if (prev_end)
		prev_end(query);
	else
		standard_ExecutorEnd(query);
}

void
explained_init(void)
{
	prev_start = ExecutorStart_hook;
	ExecutorStart_hook = pgcluster_start;
	prev_end = ExecutorEnd_hook;
	ExecutorEnd_hook = pgcluster_end;
}

/* explained(number) returns text: how the statement with this number went; NULL: there was none. */
Datum
pgcluster_explained(PG_FUNCTION_ARGS)
{
	for (int i = 0; i < MAX_KEPT; i++)
	{
		if (kept[i].text != NULL && kept[i].number == PG_GETARG_INT32(0))
			PG_RETURN_TEXT_P(cstring_to_text(kept[i].text));
	}
	PG_RETURN_NULL();
}
