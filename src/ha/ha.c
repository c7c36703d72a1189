/*-------------------------------------------------------------------------
 * ha.c
 *	  Registers what the high availability half needs of the server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ha/agent.h"
#include "ha/fence.h"
#include "ha/ha.h"
#include "ha/settings.h"
#include "ha/shared.h"

void
ha_init(void)
{
	ha_state_init();
	fence_init();
	if (!ha_enabled())
		return;
	ha_check_settings();
	agent_register();
}
