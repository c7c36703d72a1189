/*-------------------------------------------------------------------------
 * object_kinds.h
 *	  Kinds of objects that nodes get, and the commands that make them.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_OBJECT_KINDS_H
#define PGCLUSTER_SHARD_DDL_OBJECT_KINDS_H

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"

/* Can such an object be asked for, and perhaps be made? */
extern bool object_kind_is_known(Oid class_id);

/* Does a command that makes or changes it hold what logs must not show? */
extern bool object_kind_is_secret(Oid class_id);

/*
 * As objectSubId of a type: only its name, which the functions need that the
 * type is then made of.
 */
#define OBJECT_SHELL_TYPE 1

/* Must the type's name be there before the type's own functions? */
extern bool object_needs_shell(const ObjectAddress *a);

/*
 * An expression that is null on a node that lacks the object.  "version": what
 * its value must be as a text, or NULL.
 */
extern char *object_probe(const ObjectAddress *of, char **version);

/*
 * Commands (C strings) that make it, or bring it ("exists") to the version
 * that it has here; NIL: none is known.  All names in them are qualified.
 */
extern List *object_commands(const ObjectAddress *of, bool exists);

/* DROP, if it is there; "cascade" where the kind knows that. */
extern char *object_drop_command(const ObjectAddress *a, bool cascade);

#endif
