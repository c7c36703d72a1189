/*-------------------------------------------------------------------------
 * ha.c
 *	  Registers what the high availability half needs of the server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "miscadmin.h"

#include "ha/agent.h"
#include "ha/fence.h"
#include "ha/ha.h"
#include "ha/parameters.h"
#include "ha/probe.h"
#include "ha/settings.h"
#include "ha/shared.h"
#include "ha/slots.h"
#include "ha/sync_gate.h"
#include "ha/sync_names.h"

/* pgcluster_node sets the mark before pg_rewind writes into the data. */
#define REWINDING_MARK "pgcluster.rewinding"

/*
 * The control file of data that were being rewound looks sound, so the server
 * itself would start on a mixture of old and new.
 */
static void
refuse_half_rewound_data(void)
{
	if (access(REWINDING_MARK, F_OK) == 0)
		ereport(FATAL, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("data directory \"%s\" was left half rewound", DataDir),
						errhint("Run \"pgcluster_node rejoin -D %s\".", DataDir)));
}

void
ha_init(void)
{
	refuse_half_rewound_data();
	ha_state_init();
	ha_request_init();
	fence_init();
	if (!ha_enabled())
		return;
	ha_check_settings();
	sync_names_init();
	sync_gate_init();
	parameters_prepare_start();
	agent_register();
	slots_init();
	probe_init();
}
