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

/*
 * Of a statement with this mark the first column, a number, says which part a
 * row belongs to and whether it stays here (see executor/exchanged.h).  Those
 * that stay are kept by "pack_keep", and not sent.
 */
#define PACK_SPLIT_MARK PACK_MARK "/*by part*/ "
extern void (*pack_keep)(int64 route, int columns, const char *values, size_t length);

#define PACK_MAGIC "\213pgrows\n"
#define PACK_MAGIC_LENGTH 8

/*
 * Such a number: where the row stays, which exchange there keeps it, else 0;
 * and the part.  It is so large that as text it is longer than in binary.
 */
#define PACK_ROUTE(exchange, part) \
	((INT64CONST(1) << 62) | ((int64) (exchange) << 32) | (int64) (uint32) (part))
#define PACK_EXCHANGE(route) ((int) ((route) >> 32 & 0x3fffffff))
#define PACK_PART(route) ((int) ((route) &0x7fffffff))
#define PACK_MAX_EXCHANGE 0x1fffffff

/* Reads the number at the start of a row's values; false when it is null.  Moves on. */
extern bool pack_read_route(const char **values, size_t *length, int64 *route);

/* Installs the hook of a node that is asked; called from shard_init. */
extern void pack_init(void);

#endif
