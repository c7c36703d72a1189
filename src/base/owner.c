/*-------------------------------------------------------------------------
 * owner.c
 *	  Ties what malloc gave to a memory context.
 *
 * A reset callback cannot be unregistered in the oldest server we support,
 * so a tie that is let go merely forgets its object; the few bytes stay
 * until the context goes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/owner.h"

struct OwnerTie
{
	MemoryContextCallback callback;
	void *object;
	OwnerRelease release;
};

static void
release_object(void *arg)
{
	OwnerTie *tie = arg;
	void *object = tie->object;

	tie->object = NULL;
	if (object != NULL)
		tie->release(object);
}

OwnerTie *
owner_tie(MemoryContext context, void *object, OwnerRelease release)
{
	OwnerTie *tie = MemoryContextAllocExtended(context, sizeof(OwnerTie), MCXT_ALLOC_NO_OOM);

	if (tie == NULL)
	{
		release(object);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	tie->object = object;
	tie->release = release;
	tie->callback.func = release_object;
	tie->callback.arg = tie;
	MemoryContextRegisterResetCallback(context, &tie->callback);
	return tie;
}

void
owner_release(OwnerTie *tie)
{
	release_object(tie);
}

void
owner_untie(OwnerTie *tie)
{
	tie->object = NULL;
}
