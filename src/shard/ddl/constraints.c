/*-------------------------------------------------------------------------
 * constraints.c
 *	  SET CONSTRAINTS, when nodes check what is deferred.
 *
 * ALL goes to the nodes that the transaction uses, and to those that it will
 * use.  A name would have to be found on each shard: refused where it is that
 * of a distributed table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"
#include "shard/remote/remote.h"

/* A distributed table that has a constraint of that name, or InvalidOid. */
static Oid
distributed_owner(const char *name)
{
	Relation rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid owner = InvalidOid;

	ScanKeyInit(&key, Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(rel, ConstraintNameNspIndexId, true, NULL, 1, &key);
	while (!OidIsValid(owner) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);

		if (OidIsValid(constraint->conrelid) && metadata_table(constraint->conrelid) != NULL)
			owner = constraint->conrelid;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}

bool
constraints_handle(UtilityCall *call)
{
	const ConstraintsSetStmt *stmt = (const ConstraintsSetStmt *) call->pstmt->utilityStmt;
	ListCell *lc;

	foreach (lc, stmt->constraints)
	{
		const char *name = ((RangeVar *) lfirst(lc))->relname;
		Oid owner = distributed_owner(name);

		if (OidIsValid(owner))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("cannot set constraint \"%s\" of distributed table \"%s\" alone",
								   name, get_rel_name(owner)),
							errhint("Use SET CONSTRAINTS ALL.")));
	}
	utility_run(call);
	if (stmt->constraints == NIL && IsTransactionBlock())
		remote_set_constraints(stmt->deferred);
	return true;
}
