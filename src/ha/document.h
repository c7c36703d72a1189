/*-------------------------------------------------------------------------
 * document.h
 *	  The settings of a group: the JSON document in its config key.
 *
 * Plain C over json-c, so that a unit test links the very object.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_DOCUMENT_H
#define PGCLUSTER_HA_DOCUMENT_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

typedef enum HaSyncMode
{
	SYNC_MODE_OFF,
	SYNC_MODE_ON,
	SYNC_MODE_QUORUM
} HaSyncMode;

/* What the document says, with the defaults for what it does not. */
typedef struct HaConfig
{
	int ttl;					/* seconds */
	int loop_wait;				/* seconds */
	int retry_timeout;			/* seconds */
	int64_t maximum_lag;		/* bytes */
	int64_t maximum_lag_synced; /* bytes, maximum_lag_on_syncnode; 0 and less: any */
	int primary_start_timeout;	/* seconds */
	int member_slots_ttl;		/* seconds */
	int sync_count;				/* synchronous_node_count */
	HaSyncMode sync_mode;
	bool sync_strict;
	bool failsafe_mode;
	bool paused;
	bool use_pg_rewind;
	bool use_slots;
	bool clone_if_behind;
} HaConfig;

/* Why a document cannot be stored. */
typedef struct DocumentTrouble
{
	char message[256];
	char detail[256];
	char hint[256];
} DocumentTrouble;

/* Values that are of a wrong type or out of bounds leave the defaults. */
extern void document_read(struct json_object *document, HaConfig *config);

/*
 * A JSON merge patch (RFC 7396).  Returns a new object; neither argument is
 * changed, either may be NULL (JSON null).
 */
extern struct json_object *document_merge(struct json_object *document, struct json_object *patch);

/* False when the document must not be stored. */
extern bool document_check(struct json_object *document, DocumentTrouble *trouble);

/* Tells of the keys of a document or patch that mean nothing here. */
extern void document_tell_unknown(struct json_object *document,
								  void (*unknown)(void *arg, const char *key), void *arg);

/* True when both say the same, whatever the order of their keys. */
extern bool document_equal(struct json_object *a, struct json_object *b);

#endif
