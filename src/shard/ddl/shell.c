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
 * What a node makes of a query that names a shell is planner/on_node.c's.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

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
	HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	StringInfoData body;
	StringInfoData command;
	Oid owner;
	ListCell *lc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);

	initStringInfo(&body);
	appendStringInfo(&body, "BEGIN IF pg_catalog.to_regnamespace(%s) IS NULL THEN ",
					 quote_literal_cstr(quoted));
	appendStringInfo(&body, "CREATE SCHEMA %s", quoted);
	if (is_member_of_role(GetUserId(), owner))
		appendStringInfo(&body, " AUTHORIZATION %s; ",
						 quote_identifier(GetUserNameFromId(owner, false)));
	else
		appendStringInfo(&body, "; GRANT ALL ON SCHEMA %s TO %s; ", quoted,
						 quote_identifier(GetUserNameFromId(owner, false)));
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
