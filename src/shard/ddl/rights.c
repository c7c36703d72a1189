/*-------------------------------------------------------------------------
 * rights.c
 *	  Owners and grants of objects, as they are here and as commands say them.
 *
 * On shards a privilege has the same grantor as on the table, so that what is
 * taken from him is taken from those he gave it to.  Everything else is only
 * read on nodes, and its owner stands for all who granted it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "shard/ddl/rights.h"

static const struct
{
	AclMode mode;
	const char *name;
} privileges[] = {
	{ACL_INSERT, "INSERT"},
	{ACL_SELECT, "SELECT"},
	{ACL_UPDATE, "UPDATE"},
	{ACL_DELETE, "DELETE"},
	{ACL_TRUNCATE, "TRUNCATE"},
	{ACL_REFERENCES, "REFERENCES"},
	{ACL_TRIGGER, "TRIGGER"},
	{ACL_USAGE, "USAGE"},
	{ACL_CREATE, "CREATE"},
	{ACL_EXECUTE, "EXECUTE"},
	{COMPAT_ACL_MAINTAIN, "MAINTAIN"},
};

Acl *
rights_read(Oid class_id, Oid object_id, Oid *owner)
{
	AttrNumber owner_attno = get_object_attnum_owner(class_id);
	AttrNumber acl_attno = get_object_attnum_acl(class_id);
	int cache = get_object_catcache_oid(class_id);
	HeapTuple tuple = SearchSysCache1(cache, ObjectIdGetDatum(object_id));
	Acl *acl = NULL;
	bool isnull;
	Datum value;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for object %u of catalog %u", object_id, class_id);
	*owner = DatumGetObjectId(SysCacheGetAttr(cache, tuple, owner_attno, &isnull));
	if (acl_attno != InvalidAttrNumber)
	{
		value = SysCacheGetAttr(cache, tuple, acl_attno, &isnull);
		if (!isnull)
			acl = DatumGetAclPCopy(value);
	}
	ReleaseSysCache(tuple);
	return acl;
}

static Acl *
read_column(Oid relid, AttrNumber attnum)
{
	HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attnum));
	Acl *acl = NULL;
	bool isnull;
	Datum value;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	value = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attacl, &isnull);
	if (!isnull)
		acl = DatumGetAclPCopy(value);
	ReleaseSysCache(tuple);
	return acl;
}

List *
rights_read_table(Oid relid, Oid *owner)
{
	List *acls = list_make1(rights_read(RelationRelationId, relid, owner));
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;

	ReleaseSysCache(tuple);
	for (int i = 1; i <= natts; i++)
		acls = lappend(acls, read_column(relid, i));
	return acls;
}

const char *
rights_role(Oid role)
{
	return role == ACL_ID_PUBLIC ? "PUBLIC" : quote_identifier(GetUserNameFromId(role, false));
}

/* One privilege of somebody, while the commands are put in order. */
typedef struct Privilege
{
	AclMode mode;
	Oid grantee;
	bool option; /* may pass it on */
	RightsGrant *grant;
} Privilege;

/* All but the owner's, who has his by default.  "columns": " (a)" or "". */
static List *
take_privileges(List *found, const Acl *acl, Oid owner, const char *columns, const char *object)
{
	AclItem *items = acl ? ACL_DAT(acl) : NULL;

	for (int i = 0; acl != NULL && i < ACL_NUM(acl); i++)
	{
		for (size_t p = 0; p < lengthof(privileges); p++)
		{
			Privilege *privilege;

			if (items[i].ai_grantee == owner ||
				(ACLITEM_GET_PRIVS(items[i]) & privileges[p].mode) == 0)
				continue;
			privilege = palloc(sizeof(*privilege));
			privilege->mode = privileges[p].mode;
			privilege->grantee = items[i].ai_grantee;
			privilege->option = (ACLITEM_GET_GOPTIONS(items[i]) & privileges[p].mode) != 0;
			privilege->grant = palloc(sizeof(RightsGrant));
			privilege->grant->grantor = items[i].ai_grantor;
			privilege->grant->command = psprintf("GRANT %s%s ON %s TO %s%s", privileges[p].name,
												 columns, object, rights_role(items[i].ai_grantee),
												 privilege->option ? " WITH GRANT OPTION" : "");
			found = lappend(found, privilege);
		}
	}
	return found;
}

static bool
may_grant(List *given, const Privilege *privilege, Oid owner)
{
	ListCell *lc;

	if (privilege->grant->grantor == owner)
		return true;
	foreach (lc, given)
	{
		const Privilege *other = lfirst(lc);

		if (other->option && other->mode == privilege->mode &&
			other->grantee == privilege->grant->grantor)
			return true;
	}
	return false;
}

/* Those first whose grantors have what they pass on. */
static List *
in_order(List *waiting, Oid owner)
{
	List *given = NIL;
	List *grants = NIL;
	int before = -1;
	ListCell *lc;

	while (list_length(given) > before)
	{
		before = list_length(given);
		foreach (lc, waiting)
		{
			Privilege *privilege = lfirst(lc);

			if (!may_grant(given, privilege, owner))
				continue;
			given = lappend(given, privilege);
			grants = lappend(grants, privilege->grant);
			waiting = foreach_delete_current(waiting, lc);
		}
	}
	return grants;
}

List *
rights_of_table(Relation rel, const char *object)
{
	Oid owner;
	List *found = NIL;
	ListCell *lc;

	foreach (lc, rights_read_table(RelationGetRelid(rel), &owner))
	{
		int i = foreach_current_index(lc);
		const char *columns = "";

		if (lfirst(lc) == NULL ||
			(i > 0 && TupleDescAttr(RelationGetDescr(rel), i - 1)->attisdropped))
			continue;
		if (i > 0)
			columns = psprintf(" (%s)", quote_identifier(NameStr(
											TupleDescAttr(RelationGetDescr(rel), i - 1)->attname)));
		found = take_privileges(found, lfirst(lc), owner, columns, object);
	}
	return in_order(found, owner);
}

List *
rights_commands(Oid class_id, Oid object_id, const char *object)
{
	Oid owner;
	Acl *acl = rights_read(class_id, object_id, &owner);
	List *commands = NIL;
	ListCell *lc;

	foreach (lc, take_privileges(NIL, acl, owner, "", object))
		commands = lappend(commands, ((Privilege *) lfirst(lc))->grant->command);
	return commands;
}
