/*-------------------------------------------------------------------------
 * sections.h
 *	  The settings of a group that are objects or arrays of their own:
 *	  slots, ignore_slots and standby_cluster.
 *
 * Plain C over json-c, so that a unit test links the very object.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SECTIONS_H
#define PGCLUSTER_HA_SECTIONS_H

#include <stdbool.h>

#include "ha/document.h"

#define SLOT_NAME_SIZE 64
#define SLOT_MAX_PERMANENT 64
#define SLOT_MAX_IGNORED 64

typedef enum SlotKind
{
	SLOT_PHYSICAL,
	SLOT_LOGICAL,
	SLOT_ANY_KIND
} SlotKind;

/* In which clusters a permanent slot is kept. */
typedef enum SlotScope
{
	SLOT_EVERYWHERE,
	SLOT_OF_PRIMARY_CLUSTER,
	SLOT_OF_STANDBY_CLUSTER
} SlotScope;

/* One of "slots", or of "ignore_slots", where an empty text stands for any. */
typedef struct SlotSetting
{
	char name[SLOT_NAME_SIZE];
	char database[SLOT_NAME_SIZE];
	char plugin[SLOT_NAME_SIZE];
	SlotKind kind;
	SlotScope scope;
} SlotSetting;

typedef struct SlotSettings
{
	int npermanent;
	int nignored;
	SlotSetting permanent[SLOT_MAX_PERMANENT];
	SlotSetting ignored[SLOT_MAX_IGNORED];
} SlotSettings;

/* The cluster that this one follows. */
typedef struct StandbySettings
{
	bool enabled;
	char host[256];
	int port;
	char slot[SLOT_NAME_SIZE]; /* empty: none */
	/* empty: not set */
	char restore_command[512];
	char archive_cleanup_command[512];
	char apply_delay[32];
} StandbySettings;

/* Entries that make no sense are passed over. */
extern void sections_read_slots(struct json_object *document, SlotSettings *settings);
extern void sections_read_standby(struct json_object *document, StandbySettings *settings);

/* False when the document must not be stored, and why. */
extern bool sections_check(struct json_object *document, DocumentTrouble *trouble);

#endif
