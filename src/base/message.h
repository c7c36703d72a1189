/*-------------------------------------------------------------------------
 * message.h
 *	  Bytes that another node made, or anybody who calls our functions.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_MESSAGE_H
#define PGCLUSTER_BASE_MESSAGE_H

#include "lib/stringinfo.h"

/* Raises an error unless so many bytes are left; "what" is what they are part of. */
static inline void
message_need(const StringInfoData *message, int64 bytes, const char *what)
{
	if (unlikely(bytes < 0 || bytes > message->len - message->cursor))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("incorrect binary data: %s is cut short", what)));
}

#endif
