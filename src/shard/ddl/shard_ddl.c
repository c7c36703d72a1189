/*-------------------------------------------------------------------------
 * shard_ddl.c
 *	  Writes the commands that make a table's piece of a shard.
 *
 * Columns are put together here; constraints, indexes and statistics are
 * the server's own text for the shell table, with the schema replaced at the
 * one place where the table's name is known to stand.  Text that does not
 * begin as expected is an error: better no shard than a wrong one.
 *
 * Not made on a shard: identity and defaults that need something of the
 * coordinator (a sequence, a function that may use one): the coordinator fills in
 * every value before a row travels.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/toast_compression.h"
#include "access/tupdesc.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "commands/defrem.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/copy_text.h"
#include "shard/ddl/policy.h"
#include "shard/ddl/property.h"
#include "shard/ddl/rights.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shell.h"
#include "shard/ddl/trigger.h"
#include "shard/metadata/metadata.h"

/* Constants in expressions are as sensitive to settings as rows are. */
int
shard_ddl_begin(void)
{
	return copy_text_begin(true);
}

void
shard_ddl_end(int level)
{
	copy_text_end(level);
}

static char *
shard_schema(Oid schema, int64 shard_id)
{
	return metadata_shard_schema(get_namespace_name(schema), shard_id);
}

char *
shard_ddl_name(Relation rel, int64 shard_id)
{
	return quote_qualified_identifier(shard_schema(RelationGetNamespace(rel), shard_id),
									  RelationGetRelationName(rel));
}

char *
shard_ddl_shell_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/* "text" without "prefix", which it must begin with. */
static const char *
after(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(text, prefix, length) != 0)
		elog(ERROR, "\"%s\" does not begin with \"%s\"", text, prefix);
	return text + length;
}

char *
shard_ddl_schema_name(Oid schema, int64 shard_id)
{
	return pstrdup(quote_identifier(shard_schema(schema, shard_id)));
}

/*
 * The schema belongs to the owner of the shell's schema where the user may
 * give it to him; otherwise to the user, and that owner gets all rights.
 */
List *
shard_ddl_schema(Oid schema, int64 shard_id)
{
	char *name = shard_ddl_schema_name(schema, shard_id);
	List *commands;
	Oid owner;

	if (is_shell(shard_id))
		return shell_schema(schema);
	(void) rights_read(NamespaceRelationId, schema, &owner);
	if (is_member_of_role(GetUserId(), owner))
		commands =
			list_make1(psprintf("CREATE SCHEMA %s AUTHORIZATION %s", name, rights_role(owner)));
	else
		commands = list_make2(psprintf("CREATE SCHEMA %s", name),
							  psprintf("GRANT ALL ON SCHEMA %s TO %s", name, rights_role(owner)));
	return list_concat(commands, shard_ddl_schema_grants(schema, shard_id));
}

List *
shard_ddl_schema_grants(Oid schema, int64 shard_id)
{
	return rights_commands(NamespaceRelationId, schema,
						   psprintf("SCHEMA %s", shard_ddl_schema_name(schema, shard_id)));
}

/*
 * True when an expression must be evaluated here: it uses a sequence, or a
 * function that may.
 */
static bool
uses_local_function(Oid function, void *context)
{
	static const Oid of_sequences[] = {F_NEXTVAL, F_CURRVAL, F_SETVAL_REGCLASS_INT8,
									   F_SETVAL_REGCLASS_INT8_BOOL, F_LASTVAL};

	if (function >= FirstGenbkiObjectId && func_volatile(function) != PROVOLATILE_IMMUTABLE)
		return true;
	for (size_t i = 0; i < lengthof(of_sequences); i++)
	{
		if (function == of_sequences[i])
			return true;
	}
	return false;
}

static bool
is_local_expression(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, uses_local_function, context))
		return true;
	if (IsA(node, NextValueExpr))
		return true;
	return expression_tree_walker(node, is_local_expression, context);
}

/* The default (or generation) expression of a column, NULL if it has none. */
static Node *
default_expression(Relation rel, AttrNumber attnum)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		if (constr->defval[i].adnum == attnum)
			return stringToNode(constr->defval[i].adbin);
	}
	return NULL;
}

char *
shard_ddl_default(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Node *expression = default_expression(rel, attnum);
	int level;
	char *text;

	if (expression == NULL)
		return NULL;
	if (att->attgenerated == '\0' && is_local_expression(expression, NULL))
		return NULL;
	level = shard_ddl_begin();
	text = deparse_expression(
		expression, deparse_context_for(RelationGetRelationName(rel), RelationGetRelid(rel)), false,
		false);
	shard_ddl_end(level);
	return text;
}

/* "value" stands in for the default; NULL: none does. */
static void
append_default(StringInfo sql, Relation rel, Form_pg_attribute att, const char *value)
{
	const char *text = value ? value : shard_ddl_default(rel, att->attnum);

	if (text == NULL)
		return;
	if (att->attgenerated == '\0')
		appendStringInfo(sql, " DEFAULT %s", text);
	else
		appendStringInfo(sql, " GENERATED ALWAYS AS (%s) %s", text,
						 att->attgenerated == ATTRIBUTE_GENERATED_STORED ? "STORED" : "VIRTUAL");
}

static char *
type_text(Form_pg_attribute att)
{
	return format_type_extended(att->atttypid, att->atttypmod,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

static void
append_column(StringInfo sql, Relation rel, Form_pg_attribute att, const char *value)
{
	appendStringInfo(sql, "%s %s", quote_identifier(NameStr(att->attname)), type_text(att));
	if (att->attcompression != '\0')
		appendStringInfo(sql, " COMPRESSION %s", GetCompressionMethodName(att->attcompression));
	if (OidIsValid(att->attcollation) && att->attcollation != get_typcollation(att->atttypid))
		appendStringInfo(sql, " COLLATE %s", generate_collation_name(att->attcollation));
	append_default(sql, rel, att, value);
	if (att->attnotnull)
		appendStringInfoString(sql, " NOT NULL");
}

static char *
create_table(Relation rel, int64 shard_id)
{
	TupleDesc desc = RelationGetDescr(rel);
	const char *separator = "";
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %sTABLE %s (",
					 rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED " : "",
					 shard_ddl_name(rel, shard_id));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		appendStringInfoString(&sql, separator);
		append_column(&sql, rel, att, NULL);
		separator = ", ";
	}
	appendStringInfoChar(&sql, ')');
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		appendStringInfo(&sql, " PARTITION BY %s",
						 TextDatumGetCString(DirectFunctionCall1(
							 pg_get_partkeydef, ObjectIdGetDatum(RelationGetRelid(rel)))));
	if (OidIsValid(rel->rd_rel->relam))
		appendStringInfo(&sql, " USING %s", quote_identifier(get_am_name(rel->rd_rel->relam)));
	return sql.data;
}

static List *
property_list(Relation rel, PropertyTime time, int64 shard_id)
{
	return property_commands(property_take(rel, metadata_table(RelationGetRelid(rel))->kind), time,
							 shard_ddl_schema_name(RelationGetNamespace(rel), shard_id),
							 shard_ddl_name(rel, shard_id));
}

List *
shard_ddl_table(Relation rel, int64 shard_id)
{
	List *commands =
		lcons(create_table(rel, shard_id), property_list(rel, PROPERTY_EARLY, shard_id));

	if (!is_shell(shard_id))
		return commands;
	commands = list_concat(commands, shell_defaults(rel, NIL));
	return lappend(commands, shell_register(rel));
}

/* Constraints of the table of the kinds in "types", pg_constraint rows, by name. */
static List *
constraints(Relation rel, const char *types)
{
	Relation catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	List *found = NIL;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (strchr(types, ((Form_pg_constraint) GETSTRUCT(tuple))->contype) != NULL)
			found = lappend(found, heap_copytuple(tuple));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/* The text of a constraint behind "ADD CONSTRAINT name ". */
static const char *
constraint_text(Relation rel, Form_pg_constraint constraint)
{
	char *prefix = psprintf("ALTER TABLE %s ADD CONSTRAINT %s ", shard_ddl_shell_name(rel),
							quote_identifier(NameStr(constraint->conname)));

	return after(pg_get_constraintdef_command(constraint->oid), prefix);
}

/* "FOREIGN KEY (a, b) REFERENCES " of the constraint, as the server writes it. */
static char *
foreign_key_start(Relation rel, HeapTuple constraint)
{
	bool isnull;
	Datum keys = SysCacheGetAttr(CONSTROID, constraint, Anum_pg_constraint_conkey, &isnull);
	Datum *attnums;
	int n;
	StringInfoData text;

	if (isnull)
		elog(ERROR, "foreign key without columns");
	deconstruct_array(DatumGetArrayTypeP(keys), INT2OID, sizeof(int16), true, TYPALIGN_SHORT,
					  &attnums, NULL, &n);
	initStringInfo(&text);
	appendStringInfoString(&text, "FOREIGN KEY (");
	for (int i = 0; i < n; i++)
		appendStringInfo(
			&text, "%s%s", i > 0 ? ", " : "",
			quote_identifier(get_attname(RelationGetRelid(rel), DatumGetInt16(attnums[i]), false)));
	appendStringInfoString(&text, ") REFERENCES ");
	return text.data;
}

/* A foreign key; "text" is what stands behind its name. */
static char *
foreign_key_command(Relation rel, HeapTuple tuple, const char *text, int64 shard_id)
{
	Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	char *start = foreign_key_start(rel, tuple);
	Relation target = table_open(constraint->confrelid, AccessShareLock);
	const DistributedTable *table = metadata_table(constraint->confrelid);
	int64 target_shard = shard_id;
	char *command;

	if (table == NULL)
		elog(ERROR, "foreign key \"%s\" points at a table that is not distributed",
			 NameStr(constraint->conname));
	if (table->kind == TABLE_REFERENCE && !is_shell(shard_id))
		target_shard = table->colocation->shards[0].id;
	command = psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s%s%s", shard_ddl_name(rel, shard_id),
					   quote_identifier(NameStr(constraint->conname)), start,
					   shard_ddl_name(target, target_shard),
					   after(after(text, start), shard_ddl_shell_name(target)));
	table_close(target, NoLock);
	return command;
}

static char *
constraint_command(Relation rel, HeapTuple tuple, int64 shard_id)
{
	Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	const char *text = constraint_text(rel, constraint);

	if (constraint->contype == CONSTRAINT_FOREIGN)
		return foreign_key_command(rel, tuple, text, shard_id);
	return psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s", shard_ddl_name(rel, shard_id),
					quote_identifier(NameStr(constraint->conname)), text);
}

char *
shard_ddl_constraint(Relation rel, Oid constraint, int64 shard_id)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	char *command;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	command = constraint_command(rel, tuple, shard_id);
	ReleaseSysCache(tuple);
	return command;
}

char *
shard_ddl_index(Relation rel, Oid index, int64 shard_id)
{
	const char *text = pg_get_indexdef_string(index);
	const char *name = quote_identifier(get_rel_name(index));
	bool unique = strncmp(text, "CREATE UNIQUE", 13) == 0;
	char *start = psprintf("CREATE %sINDEX %s ON ", unique ? "UNIQUE " : "", name);
	bool alone = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && !get_index_isvalid(index);

	/* One that waits for those of partitions to be attached makes none there. */
	return psprintf("%s%s%s%s", start, alone ? "ONLY " : "", shard_ddl_name(rel, shard_id),
					after(after(text, start), shard_ddl_shell_name(rel)));
}

/* Indexes that no constraint makes. */
static List *
index_commands(Relation rel, int64 shard_id)
{
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Oid index = lfirst_oid(lc);

		if (!OidIsValid(get_index_constraint(index)) && get_index_isvalid(index))
			commands = lappend(commands, shard_ddl_index(rel, index, shard_id));
	}
	return commands;
}

char *
shard_ddl_statistics(Relation rel, Oid statistics, int64 shard_id)
{
	HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	Form_pg_statistic_ext form;
	char *text = pg_get_statisticsobjdef_string(statistics);
	char *prefix;
	char *suffix = psprintf(" FROM %s", shard_ddl_shell_name(rel));
	const char *body;
	int length;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for statistics object %u", statistics);
	form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	prefix = psprintf(
		"CREATE STATISTICS %s",
		quote_qualified_identifier(get_namespace_name(form->stxnamespace), NameStr(form->stxname)));
	body = after(text, prefix);
	length = strlen(body) - strlen(suffix);
	if (length < 0)
		elog(ERROR, "\"%s\" does not end with \"%s\"", text, suffix);
	(void) after(body + length, suffix);
	text = psprintf("CREATE STATISTICS %s%.*s FROM %s",
					quote_qualified_identifier(shard_schema(RelationGetNamespace(rel), shard_id),
											   NameStr(form->stxname)),
					length, body, shard_ddl_name(rel, shard_id));
	ReleaseSysCache(tuple);
	return text;
}

static const Shard *
find_shard(const DistributedTable *table, int64 shard_id)
{
	for (int i = 0; i < table->colocation->nshards; i++)
	{
		if (table->colocation->shards[i].id == shard_id)
			return &table->colocation->shards[i];
	}
	elog(ERROR, "shard " INT64_FORMAT " does not exist", shard_id);
	return NULL;
}

static List *
trigger_commands(Relation rel, int64 shard_id)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(rel));
	TriggerDesc *triggers = rel->trigdesc;
	List *commands = NIL;
	char *guard;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (trigger_on_shards(&triggers->triggers[i], table->kind))
			commands =
				lappend(commands, trigger_command(rel, triggers->triggers[i].tgoid, shard_id));
	}
	if (is_shell(shard_id))
		return commands;
	guard = trigger_guard_command(rel, table, find_shard(table, shard_id));
	return guard ? lappend(commands, guard) : commands;
}

List *
shard_ddl_rest(Relation rel, int64 shard_id)
{
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, constraints(rel, "puxc"))
		commands = lappend(commands, constraint_command(rel, lfirst(lc), shard_id));
	commands = list_concat(commands, index_commands(rel, shard_id));
	foreach (lc, RelationGetStatExtList(rel))
		commands = lappend(commands, shard_ddl_statistics(rel, lfirst_oid(lc), shard_id));
	commands = list_concat(commands, trigger_commands(rel, shard_id));
	foreach (lc, policy_list(rel))
		commands =
			lappend(commands, policy_command(rel, ((PolicyName *) lfirst(lc))->id, shard_id));
	commands = list_concat(commands, property_list(rel, PROPERTY_LATE, shard_id));
	if (rel->rd_rel->relowner != GetUserId())
		commands =
			lappend(commands, psprintf("ALTER TABLE %s OWNER TO %s", shard_ddl_name(rel, shard_id),
									   rights_role(rel->rd_rel->relowner)));
	return commands;
}

List *
shard_ddl_foreign_keys(Relation rel, int64 shard_id)
{
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, constraints(rel, "f"))
	{
		/* Those of a partitioned table are made for its partitions too. */
		if (!OidIsValid(((Form_pg_constraint) GETSTRUCT((HeapTuple) lfirst(lc)))->conparentid))
			commands = lappend(commands, constraint_command(rel, lfirst(lc), shard_id));
	}
	return commands;
}

List *
shard_ddl_attach(Relation rel, int64 shard_id)
{
	Relation parent =
		table_open(get_partition_parent(RelationGetRelid(rel), false), AccessShareLock);
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(RelationGetRelid(rel)));
	bool isnull;
	Datum bound = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
	char *command;

	if (isnull)
		elog(ERROR, "partition \"%s\" has no bounds", RelationGetRelationName(rel));
	command = psprintf("ALTER TABLE %s ATTACH PARTITION %s %s", shard_ddl_name(parent, shard_id),
					   shard_ddl_name(rel, shard_id),
					   TextDatumGetCString(DirectFunctionCall2(
						   pg_get_expr, bound, ObjectIdGetDatum(RelationGetRelid(rel)))));
	ReleaseSysCache(tuple);
	table_close(parent, NoLock);
	return list_make1(command);
}

/* What rows that are there already get in a new column, when that is one value found here; else NULL. */
static char *
value_for_all(Relation rel, Form_pg_attribute att)
{
	Node *expression = default_expression(rel, att->attnum);
	EState *estate;
	Datum value;
	bool isnull;
	Oid output;
	bool varlena;
	char *text = "NULL";

	if (expression == NULL || att->attgenerated != '\0' || contain_volatile_functions(expression) ||
		!contain_mutable_functions(expression))
		return NULL;
	estate = CreateExecutorState();
	value = ExecEvalExprSwitchContext(ExecPrepareExpr((Expr *) expression, estate),
									  GetPerTupleExprContext(estate), &isnull);
	getTypeOutputInfo(att->atttypid, &output, &varlena);
	if (!isnull)
		text = psprintf("%s::%s", quote_literal_cstr(OidOutputFunctionCall(output, value)),
						type_text(att));
	FreeExecutorState(estate);
	return text;
}

char *
shard_ddl_add_column(Relation rel, AttrNumber attnum, int64 shard_id)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s ADD COLUMN ", shard_ddl_name(rel, shard_id));
	append_column(&sql, rel, att, value_for_all(rel, att));
	return sql.data;
}

bool
shard_ddl_is_local(Node *expression)
{
	return is_local_expression(expression, NULL);
}

char *
shard_ddl_add_column_with(Relation rel, AttrNumber attnum, const char *value, bool not_null,
						  int64 shard_id)
{
	FormData_pg_attribute att = *TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	StringInfoData sql;

	att.attnotnull &= not_null;
	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s ADD COLUMN ", shard_ddl_name(rel, shard_id));
	append_column(&sql, rel, &att, value ? value : "NULL");
	return sql.data;
}

char *
shard_ddl_column_type(Relation rel, AttrNumber attnum, const char *using, int64 shard_id)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s ALTER COLUMN %s TYPE %s", shard_ddl_name(rel, shard_id),
					 quote_identifier(NameStr(att->attname)), type_text(att));
	if (OidIsValid(att->attcollation))
		appendStringInfo(&sql, " COLLATE %s", generate_collation_name(att->attcollation));
	if (using != NULL)
		appendStringInfo(&sql, " USING %s", using);
	return sql.data;
}

bool
shard_ddl_fills_alike(Relation rel, AttrNumber attnum, TableKind kind)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Node *expression = default_expression(rel, attnum);

	if (att->attgenerated != '\0')
		return true;
	if (att->attidentity != '\0')
		return false;
	if (expression == NULL || !contain_volatile_functions(expression))
		return true;
	return kind == TABLE_HASH && !is_local_expression(expression, NULL);
}
