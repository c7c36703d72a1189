/*-------------------------------------------------------------------------
 * shell.c
 *	  Shells: a distributed table as it exists, empty, on every node.
 *
 * A function that runs on a node names tables as it does here, so the names
 * have to mean something there.  A shell is made and changed by the commands
 * that make and change shards, under the table's own name; it has all but
 * defaults that need something of the coordinator.  In the place of these
 * stands a call that says so when it is used: better an error than a row
 * without its default.
 *
 * Sequences of bigint nodes have, too: see sequence.c.
 *
 * What a node makes of a query that names a shell is planner/on_node.c's.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "shard/ddl/groups.h"
#include "shard/ddl/object_catalog.h"
#include "shard/ddl/rights.h"
#include "shard/ddl/sequence.h"
#include "shard/ddl/shard_ddl.h"
#include "shard/ddl/shell.h"

static const Shard shells = {
	.id = SHELL_SHARD,
	.hash_min = PG_INT32_MIN,
	.hash_max = PG_INT32_MAX,
	.group_id = SHELL_GROUPS,
};

const Shard *
shell_or_shard(const Colocation *colocation, int i)
{
	return i < colocation->nshards ? &colocation->shards[i] : &shells;
}

/*
 * One command, as a node may have the schema: then it stays as it is.  A new
 * one belongs to the owner of ours where the user may give it to him.
 */
List *
shell_schema(Oid schema)
{
	const char *name = get_namespace_name(schema);
	const char *quoted = pstrdup(quote_identifier(name));
	StringInfoData body;
	StringInfoData command;
	Oid owner;
	ListCell *lc;

	/* Nodes that have it follow it from now on. */
	if (schema >= FirstNormalObjectId && groups_elsewhere() != NIL)
		object_catalog_insert(NamespaceRelationId, schema);
	(void) rights_read(NamespaceRelationId, schema, &owner);
	initStringInfo(&body);
	appendStringInfo(&body, "BEGIN IF pg_catalog.to_regnamespace(%s) IS NULL THEN ",
					 quote_literal_cstr(quoted));
	appendStringInfo(&body, "CREATE SCHEMA %s", quoted);
	if (is_member_of_role(GetUserId(), owner))
		appendStringInfo(&body, " AUTHORIZATION %s; ", rights_role(owner));
	else
		appendStringInfo(&body, "; GRANT ALL ON SCHEMA %s TO %s; ", quoted, rights_role(owner));
	foreach (lc, shard_ddl_schema_grants(schema, SHELL_SHARD))
		appendStringInfo(&body, "%s; ", (char *) lfirst(lc));
	appendStringInfoString(&body, "END IF; END");

	initStringInfo(&command);
	appendStringInfo(&command, "DO %s", quote_literal_cstr(body.data));
	return list_make1(command.data);
}

char *
shell_register(Relation rel)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(rel));
	const Colocation *colocation = table->colocation;
	StringInfoData ids;
	StringInfoData maxima;
	StringInfoData groups;

	initStringInfo(&ids);
	initStringInfo(&maxima);
	initStringInfo(&groups);
	for (int i = 0; i < colocation->nshards; i++)
	{
		const Shard *shard = &colocation->shards[i];
		const char *comma = i > 0 ? "," : "";

		appendStringInfo(&ids, "%s" INT64_FORMAT, comma, shard->id);
		appendStringInfo(&maxima, "%s%d", comma, shard->hash_max);
		appendStringInfo(&groups, "%s%d", comma, shard->group_id);
	}
	return psprintf("SELECT pgcluster.make_shell(%s, '%c', %s, %d, '{%s}', '{%s}', '{%s}')",
					quote_literal_cstr(shard_ddl_shell_name(rel)), (char) table->kind,
					table->kind == TABLE_HASH
						? quote_literal_cstr(get_attname(RelationGetRelid(rel), table->key, false))
						: "NULL",
					colocation->id, ids.data, maxima.data, groups.data);
}

/* It goes with the column here, and so there. */
static char *
owned_command(Relation rel, Form_pg_attribute att, Oid sequence)
{
	Oid table;
	int32 column;

	if ((!sequenceIsOwned(sequence, DEPENDENCY_AUTO, &table, &column) &&
		 !sequenceIsOwned(sequence, DEPENDENCY_INTERNAL, &table, &column)) ||
		table != RelationGetRelid(rel) || column != att->attnum)
		return NULL;
	return psprintf("ALTER SEQUENCE %s OWNED BY %s.%s", sequence_name(sequence),
					shard_ddl_name(rel, SHELL_SHARD), quote_identifier(NameStr(att->attname)));
}

/* Columns whose values the coordinator fills in. */
List *
shell_local_defaults(Relation rel)
{
	List *columns = NIL;

	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && att->attgenerated == '\0' &&
			(att->attidentity != '\0' ||
			 (att->atthasdef && shard_ddl_default(rel, att->attnum) == NULL)))
			columns = lappend_int(columns, att->attnum);
	}
	return columns;
}

List *
shell_defaults(Relation rel, List *before)
{
	List *now = shell_local_defaults(rel);
	char *name = shard_ddl_name(rel, SHELL_SHARD);
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, before)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), lfirst_int(lc) - 1);
		char *text = att->attisdropped ? NULL : shard_ddl_default(rel, att->attnum);

		if (att->attisdropped || list_member_int(now, lfirst_int(lc)))
			continue;
		commands =
			lappend(commands, psprintf("ALTER TABLE %s ALTER COLUMN %s %s %s", name,
									   quote_identifier(NameStr(att->attname)),
									   text ? "SET DEFAULT" : "DROP DEFAULT", text ? text : ""));
	}
	foreach (lc, now)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), lfirst_int(lc) - 1);
		int32 typmod = att->atttypmod;
		Oid base = getBaseTypeAndTypmod(att->atttypid, &typmod);
		Oid sequence = sequence_shared(rel, att);
		char *owned = OidIsValid(sequence) ? owned_command(rel, att, sequence) : NULL;

		if (OidIsValid(sequence))
			commands =
				lappend(commands, psprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT nextval(%s)",
										   name, quote_identifier(NameStr(att->attname)),
										   quote_literal_cstr(sequence_name(sequence))));
		if (owned != NULL)
			commands = lappend(commands, owned);
		if (OidIsValid(sequence))
			continue;

		commands = lappend(
			commands,
			psprintf(
				"ALTER TABLE %s ALTER COLUMN %s SET DEFAULT pgcluster.no_default(NULL::%s, %s)",
				name, quote_identifier(NameStr(att->attname)),
				format_type_extended(base, typmod,
									 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
				quote_literal_cstr(
					psprintf("%s.%s", RelationGetRelationName(rel), NameStr(att->attname)))));
	}
	return commands;
}
