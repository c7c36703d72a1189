/*-------------------------------------------------------------------------
 * trigger.c
 *	  Triggers of distributed tables.
 *
 * Those of a hash table fire where its rows are: they are on the shards, and
 * the shell has them for its definition only.  Those of TRUNCATE are the
 * exception: the server truncates the shell, and fires them here, once.  A trigger may change a row
 * before it is stored, but not its shard: where there is such a trigger, the
 * shards have one more that fires last and looks at the distribution column.
 *
 * A reference table is written here as any local table, so its triggers fire
 * here, once.  Where one changes rows before they are stored the copies get the
 * rows as they were stored (see planner/every_copy.c); only what a foreign key
 * does to rows each copy does by itself, and no such trigger may be in its way.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/trigger.h"

PGCLUSTER_FUNCTION(pgcluster_keep_in_shard);

/* Fires after those of users, whose names hardly begin so. */
static const char *
guard_name(Relation rel)
{
	/* A partition may have that of its parent as well. */
	return rel->rd_rel->relispartition ? "\"~pgcluster_key_of_partition\"" : "\"~pgcluster_key\"";
}

static bool
changes_rows(const Trigger *trigger)
{
	return TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype);
}

bool
trigger_on_shards(const Trigger *trigger, TableKind kind)
{
	if (trigger->tgisinternal || trigger->tgisclone || TRIGGER_FOR_TRUNCATE(trigger->tgtype))
		return false;
	return kind == TABLE_HASH;
}

static void
refuse(Relation rel, const Trigger *trigger, const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot keep trigger \"%s\" on distributed table \"%s\"",
						   trigger->tgname, RelationGetRelationName(rel)),
					errdetail_internal("%s", detail), errhint("%s", hint)));
}

/* May the foreign key change, or delete, rows of the table that has it? */
static bool
has_action(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form;
	bool acts;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	acts = !((form->confupdtype == FKCONSTR_ACTION_NOACTION ||
			  form->confupdtype == FKCONSTR_ACTION_RESTRICT) &&
			 (form->confdeltype == FKCONSTR_ACTION_NOACTION ||
			  form->confdeltype == FKCONSTR_ACTION_RESTRICT));
	ReleaseSysCache(tuple);
	return acts;
}

/* One that changes rows of a reference table before they are stored. */
static void
check_reference(Relation rel, const Trigger *trigger)
{
	ListCell *cell;

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		refuse(rel, trigger, "It changes rows of a reference table that has partitions.",
			   "Use a default, or a trigger AFTER the change.");
	if (!(trigger->tgtype & (TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE)))
		return;
	foreach (cell, RelationGetFKeyList(rel))
	{
		if (has_action(lfirst_node(ForeignKeyCacheInfo, cell)->conoid))
			refuse(
				rel, trigger,
				"It would have to fire on every copy when a foreign key of the table changes or "
				"deletes rows.",
				"Use a default, a trigger AFTER the change, or a foreign key without an action.");
	}
}

bool
trigger_may_fire(Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;
	bool fires = false;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers && !fires; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		fires = !trigger->tgisinternal || RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_PK;
	}
	return fires;
}

void
trigger_check(Relation rel, TableKind kind)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgisinternal)
			continue;
		if (OidIsValid(trigger->tgconstrrelid))
			refuse(rel, trigger, "It is a constraint trigger that refers to another table.",
				   "Create it without FROM.");
		if (kind == TABLE_HASH && TRIGGER_FOR_TRUNCATE(trigger->tgtype) &&
			(trigger->tgtype & (TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE)))
			refuse(rel, trigger, "It is for TRUNCATE together with other events.",
				   "Create a trigger of its own for TRUNCATE.");
		if (kind == TABLE_REFERENCE && changes_rows(trigger))
			check_reference(rel, trigger);
	}
}

/* Past a quoted identifier or string. */
static const char *
skip_quoted(const char *at)
{
	char quote = *at++;

	while (*at != '\0' && (*at != quote || at[1] == quote))
		at += *at == quote ? 2 : 1;
	return *at == '\0' ? at : at + 1;
}

char *
trigger_command(Relation rel, Oid trigger, int64 shard_id)
{
	char *sql =
		TextDatumGetCString(DirectFunctionCall1(pg_get_triggerdef, ObjectIdGetDatum(trigger)));
	char *shell = psprintf(" ON %s ", shard_ddl_shell_name(rel));
	const char *at = sql;

	/* No keyword of a trigger is ON but the one before its table. */
	while (*at != '\0' && strncmp(at, " ON ", 4) != 0)
		at = *at == '"' ? skip_quoted(at) : at + 1;
	if (strncmp(at, shell, strlen(shell)) != 0)
		elog(ERROR, "table %s does not stand where expected in \"%s\"", shell, sql);
	return psprintf("%.*s ON %s %s", (int) (at - sql), sql, shard_ddl_name(rel, shard_id),
					at + strlen(shell));
}

char *
trigger_guard_command(Relation rel, const DistributedTable *table, const Shard *shard)
{
	TriggerDesc *triggers = rel->trigdesc;
	bool needed = false;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		needed |= !triggers->triggers[i].tgisinternal && !triggers->triggers[i].tgisclone &&
				  changes_rows(&triggers->triggers[i]);
	if (!needed || table->kind != TABLE_HASH)
		return NULL;
	return psprintf("CREATE OR REPLACE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH ROW "
					"EXECUTE FUNCTION pgcluster.keep_in_shard(%s, '%d', '%d')",
					guard_name(rel), shard_ddl_name(rel, shard->id),
					quote_literal_cstr(get_attname(RelationGetRelid(rel), table->key, false)),
					shard->hash_min, shard->hash_max);
}

char *
trigger_guard_drop(Relation rel, int64 shard_id)
{
	return psprintf("DROP TRIGGER IF EXISTS %s ON %s", guard_name(rel),
					shard_ddl_name(rel, shard_id));
}

/* The trigger behind the guard: column, least and greatest hash. */
Datum
pgcluster_keep_in_shard(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	HeapTuple row;
	TupleDesc desc;
	AttrNumber attnum;
	Form_pg_attribute attribute;
	bool isnull;
	Datum key;
	int32 hash;

	if (!CALLED_AS_TRIGGER(fcinfo) || data->tg_trigger->tgnargs != 3 ||
		!TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("pgcluster.keep_in_shard must be a trigger BEFORE a row is stored, "
							   "with three arguments")));
	row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
	desc = RelationGetDescr(data->tg_relation);
	attnum = get_attnum(RelationGetRelid(data->tg_relation), data->tg_trigger->tgargs[0]);
	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of a trigger does not exist", data->tg_trigger->tgargs[0])));
	key = heap_getattr(row, attnum, desc, &isnull);
	attribute = TupleDescAttr(desc, attnum - 1);
	if (isnull)
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
						errmsg("a trigger has set distribution column \"%s\" to null",
							   data->tg_trigger->tgargs[0]),
						errtablecol(data->tg_relation, attnum)));
	hash = metadata_hash_value(attribute->atttypid, attribute->attcollation, key);
	if (hash < pg_strtoint32(data->tg_trigger->tgargs[1]) ||
		hash > pg_strtoint32(data->tg_trigger->tgargs[2]))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a trigger has changed distribution column \"%s\" of table \"%s\"",
						data->tg_trigger->tgargs[0], RelationGetRelationName(data->tg_relation)),
				 errdetail("The row would belong to another shard."),
				 errtablecol(data->tg_relation, attnum)));
	return PointerGetDatum(row);
}
