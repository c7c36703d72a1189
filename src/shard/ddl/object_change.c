/*-------------------------------------------------------------------------
 * object_change.c
 *	  Changes of objects that nodes have, carried out there too.
 *
 * Nodes have those objects that their shards need (objects.c), and the
 * catalog tells which (object_catalog.c).  When one of them is changed here the
 * nodes carry out the same statement, under the same search_path, in the same
 * transaction; what it refers to now goes there before.  What is dropped here,
 * by whatever statement, is dropped there by its name.  Statements about other
 * objects concern no node.
 *
 * Tables, their parts, and sequences are the business of others; roles are of
 * roles.c.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/ddl/groups.h"
#include "shard/ddl/names.h"
#include "shard/ddl/object_catalog.h"
#include "shard/ddl/object_change.h"
#include "shard/ddl/object_kinds.h"
#include "shard/ddl/objects.h"
#include "shard/ddl/roles.h"
#include "shard/ddl/shard_run.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

/* What nodes do when a statement changes an object that they have. */
typedef enum Following
{
	FOLLOW_REPEATS, /* the same */
	FOLLOW_NEEDS,	/* the same, when they have what the object needs from now on */
	FOLLOW_MAKES,	/* they get what has come to the object */
	FOLLOW_CREATES	/* they get the object, which no shard needs */
} Following;

struct ObjectChange
{
	ObjectChange *outer;
	MemoryContext context; /* of what drops gives */
	List *created;		   /* NamedObject *, what the statement creates for all nodes */
	List *addresses;	   /* of what is changed and known to the nodes */
	Following following;
	List *commands;
	bool cascade; /* the statement drops what depends on something, too */
	List *drops;  /* commands for what was dropped */
};

/* That of the statement that runs just now. */
static ObjectChange *current = NULL;

/* Kinds of objects that shards may need. */
static const ObjectType followed[] = {
	OBJECT_ACCESS_METHOD, OBJECT_AGGREGATE,		  OBJECT_CAST,
	OBJECT_COLLATION,	  OBJECT_DOMAIN,		  OBJECT_EXTENSION,
	OBJECT_FDW,			  OBJECT_FOREIGN_SERVER,  OBJECT_FUNCTION,
	OBJECT_LANGUAGE,	  OBJECT_OPCLASS,		  OBJECT_OPERATOR,
	OBJECT_OPFAMILY,	  OBJECT_PROCEDURE,		  OBJECT_ROUTINE,
	OBJECT_SCHEMA,		  OBJECT_TRANSFORM,		  OBJECT_TSPARSER,
	OBJECT_TSDICTIONARY,  OBJECT_TSTEMPLATE,	  OBJECT_TYPE,
	OBJECT_VIEW,		  OBJECT_TSCONFIGURATION, OBJECT_USER_MAPPING,
	OBJECT_EVENT_TRIGGER,
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

/* Views are named in two ways. */
static List *
view(RangeVar *relation)
{
	return relation != NULL ? one(OBJECT_VIEW, relation) : NIL;
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

/* Of what CREATE OR REPLACE defines, only aggregates. */
static List *
of_define(Node *node)
{
	DefineStmt *stmt = castNode(DefineStmt, node);
	ObjectWithArgs *aggregate = makeNode(ObjectWithArgs);
	ListCell *lc;

	if (stmt->kind != OBJECT_AGGREGATE || !stmt->replace || stmt->oldstyle)
		return NIL;
	aggregate->objname = stmt->defnames;
	foreach (lc, castNode(List, linitial(stmt->args)))
		aggregate->objargs =
			lappend(aggregate->objargs, castNode(FunctionParameter, lfirst(lc))->argType);
	return one(OBJECT_AGGREGATE, aggregate);
}

static List *
of_alter_function(Node *node)
{
	AlterFunctionStmt *stmt = castNode(AlterFunctionStmt, node);

	return one(stmt->objtype, stmt->func);
}

static List *
of_alter_table(Node *node)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, node);

	if (stmt->objtype == OBJECT_VIEW)
		return view(stmt->relation);
	return stmt->objtype == OBJECT_TYPE ? type_of_relation(stmt->relation) : NIL;
}

static List *
of_alter_family(Node *node)
{
	AlterOpFamilyStmt *stmt = castNode(AlterOpFamilyStmt, node);

	return one(OBJECT_OPFAMILY, lcons(makeString(stmt->amname), list_copy(stmt->opfamilyname)));
}

static List *
of_create_cast(Node *node)
{
	CreateCastStmt *stmt = castNode(CreateCastStmt, node);

	return list_concat(one(OBJECT_TYPE, stmt->sourcetype), one(OBJECT_TYPE, stmt->targettype));
}

static List *
of_create_view(Node *node)
{
	ViewStmt *stmt = castNode(ViewStmt, node);

	return stmt->replace ? view(stmt->view) : NIL;
}

static List *
of_rename(Node *node)
{
	RenameStmt *stmt = castNode(RenameStmt, node);

	if (stmt->renameType == OBJECT_VIEW ||
		(stmt->renameType == OBJECT_COLUMN && stmt->relationType == OBJECT_VIEW))
		return view(stmt->relation);
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

	if (stmt->objectType == OBJECT_VIEW)
		return view(stmt->relation);
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

	if (stmt->objtype == OBJECT_VIEW)
		return view(makeRangeVarFromNameList(castNode(List, stmt->object)));
	if (stmt->objtype == OBJECT_DOMCONSTRAINT)
		return one(OBJECT_TYPE, linitial(castNode(List, stmt->object)));
	return one(stmt->objtype, stmt->object);
}

static List *
of_grant(Node *node)
{
	GrantStmt *stmt = castNode(GrantStmt, node);

	if (stmt->objtype == OBJECT_TABLE || stmt->objtype == OBJECT_SEQUENCE)
		return stmt->targtype == ACL_TARGET_OBJECT && list_length(stmt->objects) == 1
				   ? view(linitial(stmt->objects))
				   : NIL;
	if (stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA)
		return many(OBJECT_SCHEMA, stmt->objects);
	return stmt->targtype == ACL_TARGET_OBJECT ? many(stmt->objtype, stmt->objects) : NIL;
}

/*
 * Where a statement says which object it is about.  Most have its name in one
 * field, a string or what the server takes as a name.
 */
typedef struct Statement
{
	NodeTag tag;
	Following following;
	List *(*objects)(Node *stmt); /* NULL: by the following */
	ObjectType type;
	size_t name;
	bool string;
} Statement;

#define FOUND_BY(function) function, (ObjectType) 0, 0, false
#define NAMED(node, type, field) NULL, type, offsetof(node, field), false
#define NAMED_STRING(node, type, field) NULL, type, offsetof(node, field), true

static const Statement statements[] = {
	{T_AlterCollationStmt, FOLLOW_REPEATS, NAMED(AlterCollationStmt, OBJECT_COLLATION, collname)},
	{T_AlterDomainStmt, FOLLOW_NEEDS, NAMED(AlterDomainStmt, OBJECT_TYPE, typeName)},
	{T_AlterEventTrigStmt, FOLLOW_REPEATS,
	 NAMED_STRING(AlterEventTrigStmt, OBJECT_EVENT_TRIGGER, trigname)},
	{T_AlterEnumStmt, FOLLOW_REPEATS, NAMED(AlterEnumStmt, OBJECT_TYPE, typeName)},
	{T_AlterExtensionStmt, FOLLOW_REPEATS,
	 NAMED_STRING(AlterExtensionStmt, OBJECT_EXTENSION, extname)},
	{T_AlterFdwStmt, FOLLOW_NEEDS, NAMED_STRING(AlterFdwStmt, OBJECT_FDW, fdwname)},
	{T_AlterForeignServerStmt, FOLLOW_REPEATS,
	 NAMED_STRING(AlterForeignServerStmt, OBJECT_FOREIGN_SERVER, servername)},
	{T_AlterFunctionStmt, FOLLOW_NEEDS, FOUND_BY(of_alter_function)},
	{T_AlterObjectSchemaStmt, FOLLOW_REPEATS, FOUND_BY(of_set_schema)},
	{T_AlterOpFamilyStmt, FOLLOW_NEEDS, FOUND_BY(of_alter_family)},
	{T_AlterOperatorStmt, FOLLOW_NEEDS, NAMED(AlterOperatorStmt, OBJECT_OPERATOR, opername)},
	{T_AlterOwnerStmt, FOLLOW_REPEATS, FOUND_BY(of_owner)},
	{T_AlterTableStmt, FOLLOW_NEEDS, FOUND_BY(of_alter_table)},
	{T_AlterTSConfigurationStmt, FOLLOW_NEEDS,
	 NAMED(AlterTSConfigurationStmt, OBJECT_TSCONFIGURATION, cfgname)},
	{T_AlterTSDictionaryStmt, FOLLOW_REPEATS,
	 NAMED(AlterTSDictionaryStmt, OBJECT_TSDICTIONARY, dictname)},
	{T_AlterTypeStmt, FOLLOW_NEEDS, NAMED(AlterTypeStmt, OBJECT_TYPE, typeName)},
	{T_AlterUserMappingStmt, FOLLOW_REPEATS,
	 NAMED_STRING(AlterUserMappingStmt, OBJECT_FOREIGN_SERVER, servername)},
	{T_CommentStmt, FOLLOW_REPEATS, FOUND_BY(of_comment)},
	{T_CreateCastStmt, FOLLOW_MAKES, FOUND_BY(of_create_cast)},
	{T_CreateEventTrigStmt, FOLLOW_CREATES,
	 NAMED_STRING(CreateEventTrigStmt, OBJECT_EVENT_TRIGGER, trigname)},
	{T_CreateFunctionStmt, FOLLOW_NEEDS, FOUND_BY(of_create_function)},
	{T_CreateOpClassStmt, FOLLOW_MAKES, NAMED(CreateOpClassStmt, OBJECT_TYPE, datatype)},
	{T_CreateTransformStmt, FOLLOW_MAKES, NAMED(CreateTransformStmt, OBJECT_TYPE, type_name)},
	{T_CreateUserMappingStmt, FOLLOW_MAKES,
	 NAMED_STRING(CreateUserMappingStmt, OBJECT_FOREIGN_SERVER, servername)},
	{T_DefineStmt, FOLLOW_NEEDS, FOUND_BY(of_define)},
	{T_GrantStmt, FOLLOW_REPEATS, FOUND_BY(of_grant)},
	{T_RenameStmt, FOLLOW_REPEATS, FOUND_BY(of_rename)},
	{T_ViewStmt, FOLLOW_NEEDS, FOUND_BY(of_create_view)},
};

static List *
objects_of(const Statement *row, Node *stmt)
{
	void *name;

	if (row->objects != NULL)
		return row->objects(stmt);
	name = *(void **) ((char *) stmt + row->name);
	return one(row->type, row->string ? makeString(name) : name);
}

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

/* InvalidOid as objectId: not known by this name, or of no kind that nodes have. */
static ObjectAddress
find_object(const NamedObject *named)
{
	ObjectAddress address = InvalidObjectAddress;
	Relation rel = NULL;
	Oid relid;

	if (!is_followed(named->type))
		return address;
	if (named->type == OBJECT_VIEW)
	{
		relid = RangeVarGetRelid(castNode(RangeVar, named->object), NoLock, true);
		if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_VIEW)
			ObjectAddressSet(address, RelationRelationId, relid);
		return address;
	}
	address = get_object_address(named->type, named->object, &rel, AccessShareLock, true);
	if (rel != NULL)
		relation_close(rel, AccessShareLock);
	return address;
}

/* What of the objects is known to nodes; if any is, "others" are those that are not. */
static List *
known_addresses(List *named, List **others)
{
	List *known = NIL;
	ListCell *lc;

	*others = NIL;
	foreach (lc, named)
	{
		ObjectAddress *address = palloc(sizeof(*address));

		*address = find_object(lfirst(lc));
		if (!OidIsValid(address->objectId))
			continue;
		if (object_catalog_has(address->classId, address->objectId))
			known = lappend(known, address);
		else
			*others = lappend(*others, address);
	}
	return known;
}

/*
 * What nodes are told
 */

/* The statement as it was given; a path that is not told (remote/settings.c) comes along. */
static List *
same_command(UtilityCall *call)
{
	const char *path = remote_search_path();
	const char *set = "SELECT pg_catalog.set_config('search_path', %s, true)";
	char *command = utility_statement_text(call);

	if (strcmp(path, namespace_search_path) == 0)
		return list_make1(command);
	return list_make3(psprintf(set, quote_literal_cstr(namespace_search_path)), command,
					  psprintf(set, quote_literal_cstr(path)));
}

/* Options of foreign servers and user mappings are for superusers to send, who can keep them out of logs. */
static List *
without_trace(List *commands, List *addresses)
{
	ListCell *lc;

	foreach (lc, addresses)
	{
		const ObjectAddress *a = lfirst(lc);

		if (!object_kind_is_secret(a->classId))
			continue;
		if (superuser())
			return roles_hushed(commands);
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be superuser to change %s on the worker groups",
							   getObjectDescription(a, false)),
						errdetail("Its options would be in the logs there.")));
	}
	return commands;
}

static void
begin_following(ObjectChange *change, UtilityCall *call)
{
	Node *stmt = call->pstmt->utilityStmt;
	List *others = NIL;

	for (size_t i = 0; i < lengthof(statements); i++)
	{
		if (statements[i].tag != nodeTag(stmt))
			continue;
		change->following = statements[i].following;
		if (change->following == FOLLOW_CREATES)
			change->created = objects_of(&statements[i], stmt);
		else
			change->addresses = known_addresses(objects_of(&statements[i], stmt), &others);
	}
	if (change->addresses == NIL && change->created == NIL)
		return;

	/* A statement about several objects needs all of them there. */
	if (others != NIL && change->following != FOLLOW_MAKES)
		objects_ensure(others);
	if (change->addresses != NIL)
		change->commands = without_trace(same_command(call), change->addresses);

	/* Who cannot be reached is told of before anything is done. */
	(void) groups_ask(groups_elsewhere(), "SELECT", 0);
}

static bool
is_cascading(Node *stmt)
{
	return (IsA(stmt, DropStmt) && ((DropStmt *) stmt)->behavior == DROP_CASCADE) ||
		   (IsA(stmt, DropOwnedStmt) && ((DropOwnedStmt *) stmt)->behavior == DROP_CASCADE);
}

ObjectChange *
object_change_begin(UtilityCall *call)
{
	ObjectChange *change;

	if (call->context == PROCESS_UTILITY_SUBCOMMAND || creating_extension ||
		metadata_groups() == NIL)
		return NULL;
	change = palloc0(sizeof(*change));
	change->outer = current;
	change->context = CurrentMemoryContext;
	change->cascade = is_cascading(call->pstmt->utilityStmt);
	begin_following(change, call);
	current = change;
	return change;
}

void
object_change_leave(ObjectChange *change)
{
	if (change != NULL)
		current = change->outer;
}

void
object_change_dropped(Oid class_id, Oid object_id)
{
	ObjectAddress address;
	MemoryContext old;

	if (!object_kind_is_known(class_id) || !object_catalog_delete(class_id, object_id) ||
		current == NULL)
		return;
	ObjectAddressSet(address, class_id, object_id);
	old = MemoryContextSwitchTo(current->context);
	current->drops = lappend(current->drops, object_drop_command(&address, current->cascade));
	MemoryContextSwitchTo(old);
}

static void
tell(List *commands)
{
	ShardRun *run;

	if (commands == NIL)
		return;
	run = shard_run_create();
	shard_run_use_path(run);
	shard_run_add_all(run, groups_elsewhere(), commands);
	shard_run_finish(run);
}

/* Some are gone with others by then. */
static void
drop_there(List *commands)
{
	int level;

	if (commands == NIL)
		return;
	level = shard_run_quietly("warning");
	tell(commands);
	AtEOXact_GUC(true, level);
}

void
object_change_finish(ObjectChange *change)
{
	if (change == NULL ||
		(change->drops == NIL && change->created == NIL && change->addresses == NIL))
		return;
	CommandCounterIncrement();
	drop_there(change->drops);
	if (change->following == FOLLOW_CREATES)
		(void) known_addresses(change->created, &change->addresses);
	if (change->addresses != NIL &&
		(change->following == FOLLOW_MAKES || change->following == FOLLOW_CREATES))
		objects_ensure(change->addresses);
	else if (change->addresses != NIL && change->following == FOLLOW_NEEDS)
		objects_ensure_needs(change->addresses);
	if (change->addresses != NIL)
		names_forget();
	if (change->following != FOLLOW_MAKES)
		tell(change->commands);
}
