/*-------------------------------------------------------------------------
 * utility.h
 *	  Utility commands that touch distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_UTILITY_H
#define PGCLUSTER_SHARD_DDL_UTILITY_H

#include "nodes/parsenodes.h"
#include "tcop/utility.h"

/* One call of the utility hook. */
typedef struct UtilityCall
{
	PlannedStmt *pstmt;
	const char *query_string;
	bool read_only_tree; /* the statement must be copied before it is changed */
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *environment;
	DestReceiver *dest;
	QueryCompletion *completion;
	List *local; /* Oids of tables that utility_table found to be local */
} UtilityCall;

/*
 * What to do about a kind of statement.  True: all is done; false: the
 * server shall carry it out.  Called only in a database with the extension.
 */
typedef bool (*UtilityHandler)(UtilityCall *call);

extern bool copy_handle(UtilityCall *call);
extern bool truncate_handle(UtilityCall *call);
extern bool constraints_handle(UtilityCall *call);
extern bool call_handle(UtilityCall *call);

extern bool grant_handle(UtilityCall *call);
extern bool vacuum_handle(UtilityCall *call);

/* Changes of a table that the shards follow (alter.c). */
extern bool alter_handle_table(UtilityCall *call);
extern bool alter_handle_index(UtilityCall *call);
extern bool alter_handle_named(UtilityCall *call);
extern bool alter_handle_rule(UtilityCall *call);
extern bool alter_handle_statistics(UtilityCall *call);
extern bool alter_handle_drop(UtilityCall *call);
extern bool alter_handle_rename(UtilityCall *call);
extern bool alter_handle_set_schema(UtilityCall *call);
extern bool alter_handle_all(UtilityCall *call);

/* Runs the statement; what it does to these tables (list of Oids) is seen to afterwards. */
extern void alter_run(UtilityCall *call, List *relids);

/* True while a statement runs that this is so for. */
extern bool alter_follows(Oid relid);

/* Has the shards follow what was dropped; shapes (Shape *) of the tables as they were. */
extern void alter_follow_drops(List *shapes);

/* Schemas of distributed tables (schema.c). */
extern bool schema_handle_rename(UtilityCall *call);
extern bool schema_handle_owner(UtilityCall *call);

/* Upkeep (maintain.c). */
extern bool maintain_handle_reindex(UtilityCall *call);
extern bool maintain_handle_cluster(UtilityCall *call);
extern bool maintain_handle_lock(UtilityCall *call);

/* These refuse what would leave shell and shards different (refuse.c). */
extern bool refuse_create_table(UtilityCall *call);
extern bool refuse_alter_local_table(UtilityCall *call);
extern bool refuse_publication(UtilityCall *call);

/* The relations that a statement is about, RangeVar or NULL. */
extern List *utility_relations(Node *stmt);

#define NO_INHERITANCE \
	"Rows of a child are rows of its parent, wherever they are; shards know of partitions only."

/* Raises the error that the statement is not supported for the table. */
extern void refuse_statement(UtilityCall *call, Oid relid) __attribute__((noreturn));
extern void refuse_because(UtilityCall *call, Oid relid, const char *why) __attribute__((noreturn));

/* The text of the statement itself, out of what may be several. */
extern char *utility_statement_text(const UtilityCall *call);

/* Has the server (or the next hook) carry out the statement. */
extern void utility_run(UtilityCall *call);

/*
 * The distributed table that a name stands for, or the one that the index
 * it stands for belongs to; NULL if neither.  Waits for a table that is just
 * being distributed.  No lock is kept, as the statement will take a stronger
 * one; a table that is distributed before it gets it makes the statement fail
 * afterwards.
 */
struct DistributedTable;
extern const struct DistributedTable *utility_table(UtilityCall *call, RangeVar *name);

/* The same, but NULL rather than waiting. */
extern const struct DistributedTable *utility_table_if_free(UtilityCall *call, RangeVar *name);

/* Installs the hooks; called from shard_init. */
extern void ddl_init(void);

#endif
