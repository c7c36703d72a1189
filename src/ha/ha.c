/*-------------------------------------------------------------------------
 * ha.c
 *	  Registers what the high availability half needs of the server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ha/ha.h"

void
ha_init(void)
{
}
