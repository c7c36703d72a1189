/*-------------------------------------------------------------------------
 * copy_text.h
 *	  Values in the text format of COPY.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_COPY_TEXT_H
#define PGCLUSTER_SHARD_DDL_COPY_TEXT_H

#include "lib/stringinfo.h"

/* Appends one value (in the server's encoding) with escapes; NULL: the null mark. */
extern void copy_text_append(StringInfo out, const char *value);

/*
 * What output functions give between these two can be read back by any
 * server without loss, whatever the session's settings; with "names" also of
 * types whose values are names of objects.  copy_text_end takes what
 * copy_text_begin returned; an error in between needs no clean-up.
 */
extern int copy_text_begin(bool names);
extern void copy_text_end(int level);

#endif
