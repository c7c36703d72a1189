/*-------------------------------------------------------------------------
 * object_change.c
 *	  Changes of objects that nodes have, carried out there too.
 *
 * Nodes have those objects that their shards need (objects.c).  So when a
 * function, a type, a schema and the like is changed or dropped here, the
 * nodes are asked whether they have it, and those that do carry out the same
 * statement, under the same search_path, in the same transaction.  Drops are
 * written anew, one for each object, as what goes with CASCADE here need not
 * be there.
 *
 * Tables, their parts, and sequences are the business of others; roles are of
 * roles.c.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/object_change.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/shard_run.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

struct ObjectChange
{
	List *groups;	/* that have the objects */
	List *commands; /* for them */
};

/* Kinds of objects that shards may need. */
static const ObjectType followed[] = {
	OBJECT_AGGREGATE,	 OBJECT_COLLATION, OBJECT_DOMAIN,		  OBJECT_DOMCONSTRAINT,
	OBJECT_EXTENSION,	 OBJECT_FDW,	   OBJECT_FOREIGN_SERVER, OBJECT_FUNCTION,
	OBJECT_LANGUAGE,	 OBJECT_OPCLASS,   OBJECT_OPERATOR,		  OBJECT_OPFAMILY,
	OBJECT_PROCEDURE,	 OBJECT_ROUTINE,   OBJECT_SCHEMA,		  OBJECT_TSCONFIGURATION,
	OBJECT_TSDICTIONARY, OBJECT_TSPARSER,  OBJECT_TSTEMPLATE,	  OBJECT_TYPE,
};

typedef struct NamedObject
{
	ObjectType type;
	Node *object; /* as get_object_address takes it */
} NamedObject;

static List *
one(ObjectType type, void *object)
{
	NamedObject *named = palloc(sizeof(*named));

	/* Some statements have the name of a type as it is, others made into a TypeName. */
	if ((type == OBJECT_TYPE || type == OBJECT_DOMAIN) && IsA(object, List))
		object = makeTypeNameFromNameList(object);
	named->type = type;
	named->object = object;
	return list_make1(named);
}

static List *
many(ObjectType type, List *objects)
{
	List *all = NIL;
	ListCell *lc;

	foreach (lc, objects)
		all = list_concat(all, one(type, lfirst(lc)));
	return all;
}

static List *
type_of_relation(RangeVar *relation)
{
	List *names = list_make1(makeString(relation->relname));

	if (relation->schemaname)
		names = lcons(makeString(relation->schemaname), names);
	return one(OBJECT_TYPE, makeTypeNameFromNameList(names));
}

/*
 * What each kind of statement changes
 */

static List *
of_create_function(Node *node)
{
	CreateFunctionStmt *stmt = castNode(CreateFunctionStmt, node);
	ObjectWithArgs *function = makeNode(ObjectWithArgs);
	ListCell *lc;

	if (!stmt->replace)
		return NIL;
	function->objname = stmt->funcname;
	function->objfuncargs = stmt->parameters;
	foreach (lc, stmt->parameters)
	{
		FunctionParameter *parameter = lfirst(lc);

		if (parameter->mode != FUNC_PARAM_OUT && parameter->mode != FUNC_PARAM_TABLE)
			function->objargs = lappend(function->objargs, parameter->argType);
	}
	return one(stmt->is_procedure ? OBJECT_PROCEDURE : OBJECT_FUNCTION, function);
}

static List *
of_alter_function(Node *node)
{
	AlterFunctionStmt *stmt = castNode(AlterFunctionStmt, node);

	return one(stmt->objtype, stmt->func);
}

static List *
of_alter_enum(Node *node)
{
	return one(OBJECT_TYPE, makeTypeNameFromNameList(castNode(AlterEnumStmt, node)->typeName));
}

static List *
of_alter_type(Node *node)
{
	return one(OBJECT_TYPE, makeTypeNameFromNameList(castNode(AlterTypeStmt, node)->typeName));
}

static List *
of_alter_domain(Node *node)
{
	return one(OBJECT_TYPE, makeTypeNameFromNameList(castNode(AlterDomainStmt, node)->typeName));
}

static List *
of_alter_table(Node *node)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, node);

	return stmt->objtype == OBJECT_TYPE ? type_of_relation(stmt->relation) : NIL;
}

static List *
of_alter_collation(Node *node)
{
	return one(OBJECT_COLLATION, castNode(AlterCollationStmt, node)->collname);
}

static List *
of_alter_operator(Node *node)
{
	return one(OBJECT_OPERATOR, castNode(AlterOperatorStmt, node)->opername);
}

static List *
of_alter_dictionary(Node *node)
{
	return one(OBJECT_TSDICTIONARY, castNode(AlterTSDictionaryStmt, node)->dictname);
}

static List *
of_alter_configuration(Node *node)
{
	return one(OBJECT_TSCONFIGURATION, castNode(AlterTSConfigurationStmt, node)->cfgname);
}

static List *
of_alter_extension(Node *node)
{
	return one(OBJECT_EXTENSION, makeString(castNode(AlterExtensionStmt, node)->extname));
}

static List *
of_rename(Node *node)
{
	RenameStmt *stmt = castNode(RenameStmt, node);

	if (stmt->renameType == OBJECT_ATTRIBUTE)
		return type_of_relation(stmt->relation);
	if (stmt->renameType == OBJECT_DOMCONSTRAINT)
		return one(OBJECT_TYPE, stmt->object);
	if (stmt->renameType == OBJECT_SCHEMA)
		return one(OBJECT_SCHEMA, makeString(stmt->subname));
	return one(stmt->renameType, stmt->object);
}

static List *
of_set_schema(Node *node)
{
	AlterObjectSchemaStmt *stmt = castNode(AlterObjectSchemaStmt, node);

	return one(stmt->objectType, stmt->object);
}

static List *
of_owner(Node *node)
{
	AlterOwnerStmt *stmt = castNode(AlterOwnerStmt, node);

	return one(stmt->objectType, stmt->object);
}

static List *
of_comment(Node *node)
{
	CommentStmt *stmt = castNode(CommentStmt, node);

	return one(stmt->objtype, stmt->object);
}

static List *
of_grant(Node *node)
{
	GrantStmt *stmt = castNode(GrantStmt, node);

	return stmt->targtype == ACL_TARGET_OBJECT ? many(stmt->objtype, stmt->objects) : NIL;
}

static List *
of_drop(Node *node)
{
	DropStmt *stmt = castNode(DropStmt, node);

	return many(stmt->removeType, stmt->objects);
}

static const struct
{
	NodeTag tag;
	List *(*objects)(Node *stmt);
} statements[] = {
	{T_AlterCollationStmt, of_alter_collation},
	{T_AlterDomainStmt, of_alter_domain},
	{T_AlterEnumStmt, of_alter_enum},
	{T_AlterExtensionStmt, of_alter_extension},
	{T_AlterFunctionStmt, of_alter_function},
	{T_AlterObjectSchemaStmt, of_set_schema},
	{T_AlterOperatorStmt, of_alter_operator},
	{T_AlterOwnerStmt, of_owner},
	{T_AlterTableStmt, of_alter_table},
	{T_AlterTSConfigurationStmt, of_alter_configuration},
	{T_AlterTSDictionaryStmt, of_alter_dictionary},
	{T_AlterTypeStmt, of_alter_type},
	{T_CommentStmt, of_comment},
	{T_CreateFunctionStmt, of_create_function},
	{T_DropStmt, of_drop},
	{T_GrantStmt, of_grant},
	{T_RenameStmt, of_rename},
};

static bool
is_followed(ObjectType type)
{
	for (size_t i = 0; i < lengthof(followed); i++)
	{
		if (followed[i] == type)
			return true;
	}
	return false;
}

/* Where the objects are that shards may need; NIL: none, or none known by these names. */
static List *
addresses_of(Node *stmt)
{
	List *addresses = NIL;
	List *named = NIL;
	ListCell *lc;

	for (size_t i = 0; i < lengthof(statements); i++)
	{
		if (statements[i].tag == nodeTag(stmt))
			named = statements[i].objects(stmt);
	}
	foreach (lc, named)
	{
		NamedObject *object = lfirst(lc);
		ObjectAddress *address = palloc(sizeof(*address));
		Relation rel = NULL;

		if (!is_followed(object->type))
			continue;
		*address = get_object_address(object->type, object->object, &rel, AccessShareLock, true);
		if (rel != NULL)
			relation_close(rel, AccessShareLock);
		if (!OidIsValid(address->objectId))
			continue;
		if (address->classId == ExtensionRelationId &&
			address->objectId == get_extension_oid("pgcluster", true))
			continue;
		addresses = lappend(addresses, address);
	}
	return addresses;
}

/*
 * Who has them
 */

static char *
text_array(List *texts)
{
	StringInfoData array;
	ListCell *lc;

	initStringInfo(&array);
	foreach (lc, texts)
		appendStringInfo(&array, "%s%s", array.len > 0 ? ", " : "", quote_literal_cstr(lfirst(lc)));
	return psprintf("ARRAY[%s]::text[]", array.data);
}

/* A query that a node answers with t for each of the objects that it has, else f. */
static char *
probe_query(List *addresses)
{
	StringInfoData sql;
	ListCell *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	foreach (lc, addresses)
	{
		List *names;
		List *arguments;

		getObjectIdentityParts(lfirst(lc), &names, &arguments, false);
		appendStringInfo(&sql, "%spgcluster.has_object(%s, %s, %s)",
						 foreach_current_index(lc) > 0 ? ", " : "",
						 quote_literal_cstr(getObjectTypeDescription(lfirst(lc), false)),
						 text_array(names), text_array(arguments));
	}
	return sql.data;
}

/* Does the group have any of the objects, and does it have all? */
static void
ask_group(int group_id, const char *sql, bool *any, bool *all)
{
	RemoteQuery query = {.group_id = group_id, .sql = sql};
	RemoteTask *task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	PGresult *row;

	*any = false;
	*all = true;
	while ((row = remote_task_next(task)) != NULL)
	{
		for (int i = 0; i < PQnfields(row); i++)
		{
			bool has = PQgetvalue(row, 0, i)[0] == 't';

			*any |= has;
			*all &= has;
		}
		PQclear(row);
	}
	remote_task_end(task);
}

/* Groups that have the objects; who has some only gets the others. */
static List *
groups_having(List *addresses, bool drop)
{
	char *sql = probe_query(addresses);
	List *having = NIL;
	ListCell *lc;

	foreach (lc, groups_elsewhere())
	{
		bool any;
		bool all;

		ask_group(lfirst_int(lc), sql, &any, &all);
		if (any && !all && !drop)
			objects_ensure(addresses, list_make1_int(lfirst_int(lc)));
		if (any)
			having = lappend_int(having, lfirst_int(lc));
	}
	return having;
}

/*
 * What they are told
 */

static List *
drop_commands(DropStmt *stmt, List *addresses)
{
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, addresses)
	{
		char *kind = pstrdup(getObjectTypeDescription(lfirst(lc), false));

		for (char *c = kind; *c != '\0'; c++)
			*c = pg_ascii_toupper((unsigned char) *c);
		commands = lappend(commands, psprintf("DROP %s IF EXISTS %s%s", kind,
											  getObjectIdentity(lfirst(lc), false),
											  stmt->behavior == DROP_CASCADE ? " CASCADE" : ""));
	}
	return commands;
}

static List *
same_command(UtilityCall *call)
{
	char *set = psprintf("SELECT pg_catalog.set_config('search_path', %s, true)",
						 quote_literal_cstr(namespace_search_path));
	char *reset = "SELECT pg_catalog.set_config('search_path', reset_val, true)"
				  " FROM pg_catalog.pg_settings WHERE name = 'search_path'";

	return list_make3(set, utility_statement_text(call), reset);
}

ObjectChange *
object_change_begin(UtilityCall *call)
{
	Node *stmt = call->pstmt->utilityStmt;
	ObjectChange *change;
	List *addresses;
	List *groups;

	if (call->context == PROCESS_UTILITY_SUBCOMMAND || creating_extension ||
		metadata_groups() == NIL)
		return NULL;
	addresses = addresses_of(stmt);
	groups = addresses == NIL ? NIL : groups_having(addresses, IsA(stmt, DropStmt));
	if (groups == NIL)
		return NULL;
	change = palloc(sizeof(*change));
	change->groups = groups;
	change->commands = IsA(stmt, DropStmt) ? drop_commands(castNode(DropStmt, stmt), addresses)
										   : same_command(call);
	return change;
}

void
object_change_finish(ObjectChange *change)
{
	ShardRun *run;

	if (change == NULL)
		return;
	run = shard_run_create();
	shard_run_add_all(run, change->groups, change->commands);
	shard_run_finish(run);
}
