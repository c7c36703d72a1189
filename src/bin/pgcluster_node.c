#include "postgres_fe.h"

int
main(int argc, char **argv)
{
	return 0;
}
