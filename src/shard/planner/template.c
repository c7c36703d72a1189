/*-------------------------------------------------------------------------
 * template.c
 *	  SQL for shards: deparsed once, filled in for each shard.
 *
 * The server's own deparser writes the query.  Each relation is given an
 * alias that nothing else in the query bears, so that the text
 * "schema.table alias" stands for it and for nothing else: this is where
 * the schema of a shard goes in.  Each of them must show outside of string
 * constants (an expression with a subquery may be written twice), or the
 * template is refused with an error: a wrong table must never be read or
 * written.
 *
 * What must stay true: the text means the same in any session, so names and
 * constants are written under fixed settings.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "shard/ddl/names.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/join_columns.h"
#include "shard/planner/template.h"

/* Where the text shows a relation. */
typedef struct Slot
{
	const DistributedTable *table;
	char *schema;
	char *text;		   /* schema.table alias */
	char *insert_text; /* schema.table AS alias */
	int schema_length; /* of the schema in "text", as quoted */
	bool found;
} Slot;

/* One place where a slot stands. */
typedef struct Mark
{
	Slot *slot;
	int at; /* offset in the text */
} Mark;

typedef struct SlotList
{
	int count;
	int room;
	Slot *slots;
	List *marks; /* Mark, in the order of the text */
	bool names;	 /* functions of any of them look for some */
} SlotList;

/*
 * Settings that the deparser and the output functions of constants heed,
 * beside the search_path.
 */
static const struct
{
	const char *name;
	const char *value;
} deparse_settings[] = {
	{"datestyle", "ISO, MDY"},
	{"intervalstyle", "postgres"},
	{"extra_float_digits", "3"},
	{"bytea_output", "hex"},
	{"standard_conforming_strings", "on"},
	{"quote_all_identifiers", "off"},
};

static void set_for_deparsing(const char *name, const char *value);
static bool settings_are_usual(void);
static void rename_ambiguous(Query *query);
static bool name_relations(Node *node, SlotList *slots);
static void free_excluded(Query *query);
static void name_from_item(Node *item, Query *query, SlotList *slots);
static void name_relation(RangeTblEntry *rte, SlotList *slots);
static void find_slots(const char *sql, SlotList *slots);
static const char *skip_string(const char *at);
static int match_slots(const char *sql, const char *at, SlotList *slots);
static void cut(const char *sql, SlotList *slots, List **pieces, List **schemas);

static void
set_for_deparsing(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * Are they as in most sessions, so that nothing would change?  Any
 * extra_float_digits above 0 means the same.
 */
static bool
settings_are_usual(void)
{
	return DateStyle == USE_ISO_DATES && DateOrder == DATEORDER_MDY &&
		   IntervalStyle == INTSTYLE_POSTGRES && extra_float_digits > 0 &&
		   bytea_output == BYTEA_OUTPUT_HEX && standard_conforming_strings &&
		   !quote_all_identifiers;
}

/* Until AtEOXact_GUC, which takes what it returns. */
static int
begin_deparsing(void)
{
	int level = NewGUCNestLevel();

	set_for_deparsing("search_path", "pg_catalog");
	for (size_t i = 0; i < lengthof(deparse_settings) && !settings_are_usual(); i++)
		set_for_deparsing(deparse_settings[i].name, deparse_settings[i].value);
	return level;
}

void
template_make_expression(Node *expression, Oid relid, List **pieces, List **schemas)
{
	SlotList slots = {0};
	int level = begin_deparsing();
	char *sql;

	(void) name_relations(expression, &slots);
	sql = deparse_expression(expression, deparse_context_for(get_rel_name(relid), relid), false,
							 false);
	AtEOXact_GUC(true, level);
	find_slots(sql, &slots);
	cut(sql, &slots, pieces, schemas);
}

void
template_make(Query *query, ShardPlan *plan)
{
	SlotList slots = {0};
	int level = begin_deparsing();
	char *sql;

	name_relations((Node *) query, &slots);
	rename_ambiguous(query);
	sql = pg_get_querydef(query, false);
	AtEOXact_GUC(true, level);
	find_slots(sql, &slots);
	cut(sql, &slots, &plan->pieces, &plan->schemas);
	plan->names |= slots.names;
}

/*
 * ORDER BY takes a bare name for a column of the result first.  Where the
 * deparser would write the name of a column of a table that also names
 * something else in the result, that is given another name; nobody looks at
 * the names that a node gives.
 */
static void
rename_ambiguous(Query *query)
{
	ListCell *cell;
	ListCell *other;

	if (query->commandType != CMD_SELECT)
		return;
	foreach (cell, query->sortClause)
	{
		TargetEntry *sorted = get_sortgroupclause_tle(lfirst(cell), query->targetList);
		Var *var = (Var *) sorted->expr;
		char *name;

		if (!IsA(var, Var) || var->varlevelsup != 0 || var->varattno <= 0)
			continue;
		name = get_rte_attribute_name(rt_fetch(var->varno, query->rtable), var->varattno);
		foreach (other, query->targetList)
		{
			TargetEntry *tle = lfirst(other);

			if (!tle->resjunk && tle->resname != NULL && strcmp(tle->resname, name) == 0 &&
				!equal(tle->expr, var))
				tle->resname = psprintf("pgcluster_%d", tle->resno);
		}
	}
}

char *
template_fill(List *pieces, List *schemas, int64 shard_id)
{
	StringInfoData sql;
	ListCell *piece;
	ListCell *schema = list_head(schemas);

	initStringInfo(&sql);
	foreach (piece, pieces)
	{
		appendStringInfoString(&sql, strVal(lfirst(piece)));
		if (schema != NULL)
		{
			char *name = strVal(lfirst(schema));

			if (shard_id != TEMPLATE_NO_SHARD)
				name = metadata_shard_schema(name, shard_id);
			appendStringInfoString(&sql, quote_identifier(name));
			schema = lnext(schemas, schema);
		}
	}
	return sql.data;
}

/* Finds the relations that the text will show, and gives each its alias. */
static bool
name_relations(Node *node, SlotList *slots)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		ListCell *cell;

		if (query->commandType == CMD_SELECT)
			join_columns_align(query);
		if (query->resultRelation != 0)
		{
			RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);

			/* The rewriter leaves this set on the table below a view. */
			target->inFromCl = false;
			name_relation(target, slots);
		}
		free_excluded(query);
		foreach (cell, query->jointree->fromlist)
		{
			Node *item = lfirst(cell);

			if (IsA(item, RangeTblRef) && ((RangeTblRef *) item)->rtindex == query->resultRelation)
				continue;

			/* That a rule was written for is not marked as one of FROM. */
			if (IsA(item, RangeTblRef))
				rt_fetch(((RangeTblRef *) item)->rtindex, query->rtable)->inFromCl = true;
			name_from_item(item, query, slots);
		}
		return query_tree_walker(query, name_relations, slots, QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, name_relations, slots);
}

/* "excluded" of a view stays in the range table beside that of the table below it: one may have the name. */
static void
free_excluded(Query *query)
{
	ListCell *cell;

	foreach (cell, query->onConflict != NULL ? query->rtable : NIL)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (foreach_current_index(cell) + 1 != query->onConflict->exclRelIndex && !rte->inFromCl &&
			rte->alias != NULL && strcmp(rte->alias->aliasname, "excluded") == 0)
			rte->alias = rte->eref = makeAlias("pgcluster_unused", NIL);
	}
}

static void
name_from_item(Node *item, Query *query, SlotList *slots)
{
	if (IsA(item, JoinExpr))
	{
		name_from_item(((JoinExpr *) item)->larg, query, slots);
		name_from_item(((JoinExpr *) item)->rarg, query, slots);
	}
	else
	{
		RangeTblEntry *rte = rt_fetch(castNode(RangeTblRef, item)->rtindex, query->rtable);

		if (rte->rtekind == RTE_RELATION)
			name_relation(rte, slots);
	}
}

static void
name_relation(RangeTblEntry *rte, SlotList *slots)
{
	char *table = get_rel_name(rte->relid);
	char *qualified;
	char *alias;
	Slot *slot;

	if (slots->count == slots->room)
	{
		slots->room = Max(8, slots->room * 2);
		slots->slots = slots->slots == NULL ? palloc(slots->room * sizeof(Slot))
											: repalloc(slots->slots, slots->room * sizeof(Slot));
	}
	slot = &slots->slots[slots->count++];
	slot->table = metadata_table(rte->relid);
	if (slot->table == NULL || table == NULL)
		elog(ERROR, "relation %u in a query for shards is not distributed", rte->relid);
	alias = psprintf("pgcluster_%d_", slots->count);
	slot->schema = get_namespace_name(get_rel_namespace(rte->relid));
	qualified = quote_qualified_identifier(slot->schema, table);
	slot->schema_length = strlen(quote_identifier(slot->schema));
	slot->text = psprintf("%s %s", qualified, alias);
	slot->insert_text = psprintf("%s AS %s", qualified, alias);
	slot->found = false;
	slots->names |= names_sought(rte->relid);
	rte->alias = makeAlias(alias, NIL);
}

static void
find_slots(const char *sql, SlotList *slots)
{
	const char *at = sql;
	bool in_word = false;

	while (*at != '\0')
	{
		int length = in_word ? 0 : match_slots(sql, at, slots);

		if (length > 0)
			at += length;
		else if (*at == '\'' || *at == '"')
			at = skip_string(at);
		else
		{
			in_word = IS_HIGHBIT_SET(*at) || isalnum((unsigned char) *at) || *at == '_' ||
					  *at == '$' || *at == '.';
			at++;
			continue;
		}
		in_word = false;
	}
	for (int i = 0; i < slots->count; i++)
	{
		if (!slots->slots[i].found)
			elog(ERROR, "relation %s not found in the SQL for its shards", slots->slots[i].text);
	}
}

/* Past a quoted identifier or string; both double their quote inside. */
static const char *
skip_string(const char *at)
{
	char quote = *at++;

	while (*at != '\0')
	{
		if (*at == quote)
		{
			if (at[1] != quote)
				return at + 1;
			at++;
		}
		at++;
	}
	elog(ERROR, "unterminated quote in the SQL for shards");
	return NULL;
}

/* Length of the relation that stands here, 0 if none does. */
static int
match_slots(const char *sql, const char *at, SlotList *slots)
{
	for (int i = 0; i < slots->count; i++)
	{
		Slot *slot = &slots->slots[i];
		const char *texts[] = {slot->text, slot->insert_text};

		for (size_t form = 0; form < lengthof(texts); form++)
		{
			int length = strlen(texts[form]);
			Mark *mark;

			/* The alias ends in an underscore: no other starts with it and goes on in digits. */
			if (strncmp(at, texts[form], length) != 0)
				continue;
			slot->found = true;
			mark = palloc(sizeof(Mark));
			mark->slot = slot;
			mark->at = at - sql;
			slots->marks = lappend(slots->marks, mark);
			return length;
		}
	}
	return 0;
}

static void
cut(const char *sql, SlotList *slots, List **pieces, List **schemas)
{
	StringInfoData piece;
	const char *from = sql + strspn(sql, " ");
	ListCell *cell;

	*pieces = *schemas = NIL;
	initStringInfo(&piece);
	foreach (cell, slots->marks)
	{
		Mark *mark = lfirst(cell);
		Slot *slot = mark->slot;

		appendBinaryStringInfo(&piece, from, sql + mark->at - from);
		from = sql + mark->at + slot->schema_length;
		if (slot->table->kind == TABLE_REFERENCE)
		{
			char *schema =
				metadata_shard_schema(slot->schema, slot->table->colocation->shards[0].id);

			appendStringInfoString(&piece, quote_identifier(schema));
			continue;
		}
		*pieces = lappend(*pieces, makeString(pstrdup(piece.data)));
		*schemas = lappend(*schemas, makeString(slot->schema));
		resetStringInfo(&piece);
	}
	appendStringInfoString(&piece, from);
	*pieces = lappend(*pieces, makeString(piece.data));
}
