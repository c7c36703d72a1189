/*-------------------------------------------------------------------------
 * pack.h
 *	  Many rows in one message: what the asking and the asked node agree on.
 *
 * The fixed cost of a row in libpq is many times that of its bytes.  So a
 * statement that begins with PACK_MARK is answered with messages that look
 * like rows, of which the first column holds many rows and the others are
 * null: PACK_MAGIC, then of each row its length (four bytes, in network
 * order) and what the body of its own message would have been.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_PACK_H
#define PGCLUSTER_SHARD_REMOTE_PACK_H

#define PACK_MARK "/*packed rows*/ "
#define PACK_MAGIC "\213pgrows\n"
#define PACK_MAGIC_LENGTH 8

/* Installs the hook of a node that is asked; called from shard_init. */
extern void pack_init(void);

#endif
