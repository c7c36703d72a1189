/*-------------------------------------------------------------------------
 * tap.h
 *	  The little of TAP that unit tests in C need.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_TEST_TAP_H
#define PGCLUSTER_TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_tests = 0;
static int tap_failed = 0;

static inline bool __attribute__((format(printf, 2, 3))) ok(bool passed, const char *format, ...)
{
	va_list args;

	printf("%sok %d - ", passed ? "" : "not ", ++tap_tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	tap_failed += !passed;
	return passed;
}

/* To be returned by main. */
static inline int
done_testing(void)
{
	printf("1..%d\n", tap_tests);
	return tap_failed > 0;
}

#endif
