/*-------------------------------------------------------------------------
 * owner.h
 *	  Ties what malloc gave (CURL, json_object, PGconn, ...) to a memory
 *	  context, so that an error frees it without PG_TRY.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_OWNER_H
#define PGCLUSTER_BASE_OWNER_H

#include "utils/palloc.h"

typedef void (*OwnerRelease)(void *object);
typedef struct OwnerTie OwnerTie;

/*
 * Calls release(object) when "context" is reset or deleted.  If registering
 * fails (out of memory), the object is released before the error leaves.
 * The tie that is returned lives as long as the context.
 */
extern OwnerTie *owner_tie(MemoryContext context, void *object, OwnerRelease release);

/* Releases the object now, and not again with the context. */
extern void owner_release(OwnerTie *tie);

/* Forgets the object without releasing it: somebody else owns it now. */
extern void owner_untie(OwnerTie *tie);

#endif
