/*-------------------------------------------------------------------------
 * copy_error.c
 *	  Which of the errors of a COPY FROM is the first one.
 *
 * Rows that are passed on are read by several nodes, each as far as it has
 * come, so what a node complains about need not be the first thing that is
 * wrong.  Everything of which it is not known that a node has taken it is
 * still here: up to the line of the error it is read once more, by this
 * server, which then says what is wrong in its own words.  What is wrong with
 * a row for another reason than its values (constraints, triggers) is left as
 * the node says it.
 *
 * The transaction has failed already and can only be rolled back, hence no
 * subtransaction around what may fail again.
 */
#include "postgres.h"

#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "shard/ddl/copy_error.h"
#include "shard/remote/remote.h"

typedef struct Search
{
	CopyInput *input;
	List *options;	  /* to read what was passed on */
	ErrorData *first; /* the first error so far */
	uint64 line;	  /* ... and its line */
	uint64 present;	  /* the line that is being read */
	MemoryContext context;
} Search;

/* What COPY's callback reads; it has no argument. */
static const char *unread;
static int unread_length;

static bool may_be_preceded(const ErrorData *error);
static List *reading_options(List *options);
static void
search_piece(void *arg, const char *data, int length, const uint64 *lines, uint64 nlines);
static void read_piece(Search *search, const uint64 *lines, uint64 nlines);
static int read_unread(void *out, int least, int most);

void
copy_find_first_error(CopyInput *input, Feed *feed, bool line)
{
	Search search = {.input = input, .context = CurrentMemoryContext};
	CopyFromState state = input->state;
	const char *begin;
	const char *end;

	MemoryContextSwitchTo(GetMemoryChunkContext(input));
	search.context = CurrentMemoryContext;
	search.first = CopyErrorData();
	search.line = search.first->context == NULL
					  ? 0
					  : remote_copy_line(search.first->context, RelationGetRelationName(input->rel),
										 &begin, &end);
	if (search.line == 0 || !may_be_preceded(search.first))
		PG_RE_THROW();

	FlushErrorState();
	search.options = reading_options(input->options);
	if (line && state->line_buf_valid && search.line == state->cur_lineno)
	{
		StringInfo copy = makeStringInfo();
		int height = 1;
		uint64 *lines;

		appendBinaryStringInfo(copy, state->line_buf.data, state->line_buf.len);
		for (int i = 0; i < copy->len; i++)
			height += state->opts.csv_mode && copy->data[i] == '\r';
		lines = palloc(height * sizeof(uint64));
		for (int i = 0; i < height; i++)
			lines[i] = search.line;
		search_piece(&search, copy->data, copy->len, lines, height);
	}
	feed_show_open(feed, search_piece, &search);
	ReThrowError(search.first);
}

/* Is it about a row, rather than about the statement or a node as such? */
static bool
may_be_preceded(const ErrorData *error)
{
	int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION;
}

/* Without those that only the beginning of the user's data, or the shards, are concerned with. */
static List *
reading_options(List *options)
{
	static const char *const others[] = {"header", "encoding", "freeze", "convert_selectively"};
	List *kept = NIL;
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst(cell);
		bool keep = true;

		for (size_t i = 0; i < lengthof(others); i++)
			keep &= strcmp(option->defname, others[i]) != 0;
		if (keep)
			kept = lappend(kept, option);
	}
	return lappend(
		kept, makeDefElem("encoding", (Node *) makeString(pstrdup(GetDatabaseEncodingName())), -1));
}

/* Keeps the error of the first row in the piece that has one, if it is the first of all. */
static void
search_piece(void *arg, const char *data, int length, const uint64 *lines, uint64 nlines)
{
	Search *search = arg;
	ErrorContextCallback *contexts = error_context_stack;

	if (length == 0 || nlines == 0 || lines[0] == 0 || lines[0] > search->line)
		return;
	unread = data;
	unread_length = length;
	PG_TRY();
	{
		read_piece(search, lines, nlines);
	}
	PG_CATCH();
	{
		ErrorData *error;

		error_context_stack = contexts;
		MemoryContextSwitchTo(search->context);
		error = CopyErrorData();
		if (!may_be_preceded(error))
			PG_RE_THROW();
		FlushErrorState();
		if (search->present <= search->line)
		{
			search->first = error;
			search->line = search->present;
		}
	}
	PG_END_TRY();
}

/* Reads the rows of a piece as far as they matter. */
static void
read_piece(Search *search, const uint64 *lines, uint64 nlines)
{
	CopyInput *input = search->input;
	ParseState *pstate = make_parsestate(NULL);
	EState *estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);
	TupleTableSlot *slot = input->slot;
	CopyFromState state;
	ErrorContextCallback where_we_are = {.callback = CopyFromErrorCallback};
	uint64 next;

	(void) addRangeTableEntryForRelation(pstate, input->rel, RowExclusiveLock, NULL, false, false);
	state = BeginCopyFrom(pstate, input->rel, NULL, NULL, false, read_unread,
						  input->state->opts.binary ? NIL : input->columns, search->options);
	where_we_are.arg = state;
	where_we_are.previous = error_context_stack;
	error_context_stack = &where_we_are;
	for (uint64 i = 0; i < nlines && lines[i] <= search->line; i = next)
	{
		search->present = lines[i];
		for (next = i; next < nlines && lines[next] == search->present; next++)
			;
		state->cur_lineno = search->present - (next - i);
		ResetPerTupleExprContext(estate);
		MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
		(void) NextCopyFrom(state, econtext, slot->tts_values, slot->tts_isnull);
	}
	error_context_stack = where_we_are.previous;
	MemoryContextSwitchTo(search->context);
	EndCopyFrom(state);
	FreeExecutorState(estate);
}

static int
read_unread(void *out, int least, int most)
{
	int n = Min(most, unread_length);

	memcpy(out, unread, n);
	unread += n;
	unread_length -= n;
	return n;
}
