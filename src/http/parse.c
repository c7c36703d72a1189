/*-------------------------------------------------------------------------
 * parse.c
 *	  What strangers send to the HTTP server, and what it means.
 *
 * Nothing that comes in is trusted: a body must be one JSON object and
 * nothing more, each field has its type and its bounds, and a request is
 * understood as a whole or refused with the reason.  Whether the cluster can
 * do what is asked for is for others to say.
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/parse.h"

#define MAX_DEPTH 32

/* Years that every part of the server can count in. */
#define FIRST_YEAR 1970
#define LAST_YEAR 9999

#define BAD_REQUEST 400
#define UNPROCESSABLE 422

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Numbers with units
 */

typedef struct Unit
{
	const char *name;
	double size;
} Unit;

static const Unit byte_units[] = {{"", 1},
								  {"B", 1},
								  {"kB", 1024},
								  {"MB", 1024.0 * 1024},
								  {"GB", 1024.0 * 1024 * 1024},
								  {"TB", 1024.0 * 1024 * 1024 * 1024}};

static const Unit second_units[] = {{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}};

static bool
parse_quantity(const char *text, const Unit *units, size_t nunits, double *quantity)
{
	char *end;

	*quantity = strtod(text, &end);
	if (end == text || isnan(*quantity))
		return false;
	end += strspn(end, " ");
	for (size_t i = 0; i < nunits; i++)
		if (strcasecmp(end, units[i].name) == 0)
		{
			*quantity *= units[i].size;
			return true;
		}
	return false;
}

bool
http_parse_bytes(const char *text, double *bytes)
{
	return parse_quantity(text, byte_units, N_ELEMENTS(byte_units), bytes);
}

int
http_parse_seconds(const char *text)
{
	double seconds;

	if (!parse_quantity(text, second_units, N_ELEMENTS(second_units), &seconds) || seconds < 1 ||
		seconds > INT_MAX)
		return 0;
	return (int) seconds;
}

/*
 * Moments
 */

/* Reads exactly so many digits; moves on. */
static bool
take_digits(const char **text, int digits, int *number)
{
	*number = 0;
	for (; digits > 0; digits--, (*text)++)
	{
		if (!isdigit((unsigned char) **text))
			return false;
		*number = *number * 10 + (**text - '0');
	}
	return true;
}

static bool
take(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* "2030-01-31"; in days since 1970. */
static bool
take_day(const char **text, int64_t *days)
{
	int year;
	int month;
	int day;

	if (!take_digits(text, 4, &year) || !take(text, '-') || !take_digits(text, 2, &month) ||
		!take(text, '-') || !take_digits(text, 2, &day))
		return false;
	if (year < FIRST_YEAR || year > LAST_YEAR || month < 1 || month > 12 || day < 1 ||
		day > days_in_month(year, month))
		return false;
	*days = day - 1;
	for (int y = FIRST_YEAR; y < year; y++)
		*days += 337 + days_in_month(y, 2);
	for (int m = 1; m < month; m++)
		*days += days_in_month(year, m);
	return true;
}

/* "03:00", "03:00:30", "03:00:30.25"; in microseconds. */
static bool
take_hour(const char **text, int64_t *us)
{
	int hour;
	int minute;
	int second = 0;
	int fraction = 0;
	int scale = 1000000;

	if (!take_digits(text, 2, &hour) || !take(text, ':') || !take_digits(text, 2, &minute))
		return false;
	if (take(text, ':') && !take_digits(text, 2, &second))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	if (take(text, '.') && !isdigit((unsigned char) **text))
		return false;
	for (; isdigit((unsigned char) **text); (*text)++)
		if (scale > 1)
		{
			scale /= 10;
			fraction += (**text - '0') * scale;
		}
	*us = (hour * INT64_C(3600) + minute * 60 + second) * 1000000 + fraction;
	return true;
}

/* "Z", "+02", "+02:00", "-0330"; in seconds. */
static bool
take_zone(const char **text, int *seconds)
{
	int sign = **text == '-' ? -1 : 1;
	int hours;
	int minutes = 0;

	*seconds = 0;
	if (take(text, 'Z') || take(text, 'z'))
		return true;
	if (**text != '+' && **text != '-')
		return false;
	(*text)++;
	if (!take_digits(text, 2, &hours))
		return false;
	if ((take(text, ':') || **text != '\0') && !take_digits(text, 2, &minutes))
		return false;
	if (hours > 15 || minutes > 59)
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

HttpMoment
http_parse_moment(const char *text, int64_t *at_us)
{
	int64_t days;
	int64_t us;
	int zone;

	text += strspn(text, " ");
	if (!take_day(&text, &days) || (!take(&text, 'T') && !take(&text, ' ')) ||
		!take_hour(&text, &us))
		return HTTP_MOMENT_UNREADABLE;
	text += strspn(text, " ");
	if (*text == '\0')
		return HTTP_MOMENT_WITHOUT_ZONE;
	if (!take_zone(&text, &zone) || *text != '\0')
		return HTTP_MOMENT_UNREADABLE;
	*at_us = (days * 86400 - zone) * 1000000 + us;
	return HTTP_MOMENT_OK;
}

int
http_parse_version(const char *text)
{
	int part[3] = {0};
	int n = 0;

	for (; n < 3 && isdigit((unsigned char) *text); n++)
	{
		for (; isdigit((unsigned char) *text); text++)
		{
			part[n] = part[n] * 10 + (*text - '0');
			if (part[n] > 9999)
				return 0;
		}
		if (!take(&text, '.'))
		{
			n++;
			break;
		}
	}
	if (*text != '\0' || n == 0 || part[0] == 0 || part[0] > 999)
		return 0;
	if (part[0] < 10)
		return n < 2 ? 0 : part[0] * 10000 + part[1] * 100 + part[2];
	return n > 2 ? 0 : part[0] * 10000 + part[1];
}

/*
 * Who asks
 */

bool
http_encode_credentials(const char *user, const char *password, char *text, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t nuser = strlen(user);
	size_t total = nuser + 1 + strlen(password);
	char *out = text;

	if ((total + 2) / 3 * 4 + 1 > size)
		return false;
	for (size_t i = 0; i < total; i += 3)
	{
		uint32_t bits = 0;

		for (size_t j = i; j < i + 3; j++)
		{
			unsigned char c = 0;

			if (j < nuser)
				c = (unsigned char) user[j];
			else if (j == nuser)
				c = ':';
			else if (j < total)
				c = (unsigned char) password[j - nuser - 1];
			bits = bits << 8 | c;
		}
		*out++ = digits[bits >> 18 & 63];
		*out++ = digits[bits >> 12 & 63];
		*out++ = i + 1 < total ? digits[bits >> 6 & 63] : '=';
		*out++ = i + 2 < total ? digits[bits & 63] : '=';
	}
	*out = '\0';
	return true;
}

/* How long it takes depends on what is given alone. */
bool
http_is_same_secret(const char *given, const char *expected)
{
	size_t ngiven = strlen(given);
	size_t nexpected = strlen(expected);
	volatile unsigned char differs = ngiven != nexpected;

	for (size_t i = 0; i < ngiven; i++)
		differs |= (unsigned char) (given[i] ^ expected[nexpected == 0 ? 0 : i % nexpected]);
	return differs == 0;
}

bool
http_parse_network(const char *text, HttpNetwork *network)
{
	char address[INET6_ADDRSTRLEN + 1];
	size_t length = strcspn(text, "/");
	char *end;
	int most;

	memset(network, 0, sizeof(*network));
	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	network->family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;
	if (inet_pton(network->family, address, network->address) != 1)
		return false;
	most = network->family == AF_INET ? 32 : 128;
	network->bits = most;
	if (text[length] == '\0')
		return true;
	if (!isdigit((unsigned char) text[length + 1]))
		return false;
	network->bits = (int) strtol(text + length + 1, &end, 10);
	return *end == '\0' && network->bits >= 0 && network->bits <= most;
}

static const unsigned char *
address_bytes(const struct sockaddr *address, int *family)
{
	static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	const unsigned char *bytes;

	*family = address->sa_family;
	if (*family == AF_INET)
		return (const unsigned char *) &((const struct sockaddr_in *) address)->sin_addr;
	if (*family != AF_INET6)
		return NULL;
	bytes = ((const struct sockaddr_in6 *) address)->sin6_addr.s6_addr;
	if (memcmp(bytes, mapped, sizeof(mapped)) != 0)
		return bytes;
	*family = AF_INET;
	return bytes + sizeof(mapped);
}

bool
http_network_has(const HttpNetwork *network, const struct sockaddr *address)
{
	int family;
	const unsigned char *bytes = address_bytes(address, &family);
	int whole = network->bits / 8;
	int rest = network->bits % 8;

	if (bytes == NULL || family != network->family ||
		memcmp(bytes, network->address, (size_t) whole) != 0)
		return false;
	return rest == 0 || ((bytes[whole] ^ network->address[whole]) >> (8 - rest)) == 0;
}

bool
http_is_local(const struct sockaddr *client, const struct sockaddr *own)
{
	static const char *const loopback[] = {"127.0.0.0/8", "::1"};
	int family;
	int own_family;
	const unsigned char *bytes = address_bytes(client, &family);
	const unsigned char *own_bytes = address_bytes(own, &own_family);

	for (size_t i = 0; i < N_ELEMENTS(loopback); i++)
	{
		HttpNetwork network;

		if (http_parse_network(loopback[i], &network) && http_network_has(&network, client))
			return true;
	}
	return bytes != NULL && own_bytes != NULL && family == own_family &&
		   memcmp(bytes, own_bytes, family == AF_INET ? 4 : 16) == 0;
}

/*
 * Bodies
 */

static int refuse(HttpAction *action, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int
refuse(HttpAction *action, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(action->reason, sizeof(action->reason), format, args);
	va_end(args);
	return status;
}

/* One JSON object with nothing but blanks around it, or NULL. */
static json_object *
parse_object(const char *body, size_t length)
{
	json_tokener *tokener;
	json_object *object;
	bool whole;

	if (length > INT_MAX - 1 || memchr(body, '\0', length) != NULL)
		return NULL;
	tokener = json_tokener_new_ex(MAX_DEPTH);
	if (tokener == NULL)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, body, (int) length);
	whole = json_tokener_get_error(tokener) == json_tokener_success &&
			json_tokener_get_parse_end(tokener) +
					strspn(body + json_tokener_get_parse_end(tokener), " \t\r\n") ==
				length;
	json_tokener_free(tokener);
	if (whole && json_object_is_type(object, json_type_object))
		return object;
	json_object_put(object);
	return NULL;
}

static int
read_name(HttpAction *action, const char *field, json_object *value, char *name)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return refuse(action, BAD_REQUEST, "%s is the name of a member", field);
	text = json_object_get_string(value);
	if (strlen(text) >= HTTP_NAME_SIZE ||
		(size_t) json_object_get_string_len(value) != strlen(text))
		return refuse(action, BAD_REQUEST, "%s is too long or has a character that no name has",
					  field);
	strcpy(name, text);
	return 0;
}

static int
read_leader(HttpAction *action, const char *field, json_object *value)
{
	return read_name(action, field, value, action->leader);
}

static int
read_candidate(HttpAction *action, const char *field, json_object *value)
{
	return read_name(action, field, value, action->candidate);
}

static int
read_moment(HttpAction *action, const char *field, json_object *value)
{
	HttpMoment moment = HTTP_MOMENT_UNREADABLE;

	if (json_object_is_type(value, json_type_string))
	{
		if (json_object_get_string_len(value) == 0)
			return 0;
		moment = http_parse_moment(json_object_get_string(value), &action->at_us);
	}
	switch (moment)
	{
		case HTTP_MOMENT_OK:
			action->scheduled = true;
			return 0;
		case HTTP_MOMENT_WITHOUT_ZONE:
			return refuse(action, BAD_REQUEST, "%s has no time zone", field);
		case HTTP_MOMENT_UNREADABLE:
			break;
	}
	return refuse(action, UNPROCESSABLE,
				  "%s is no moment, write it like 2030-01-31T03:00+00:00 (ISO 8601)", field);
}

static int
read_flag(HttpAction *action, const char *field, json_object *value, bool *flag)
{
	if (!json_object_is_type(value, json_type_boolean))
		return refuse(action, BAD_REQUEST, "%s is true or false", field);
	*flag = json_object_get_boolean(value);
	return 0;
}

static int
read_pending(HttpAction *action, const char *field, json_object *value)
{
	return read_flag(action, field, value, &action->pending_only);
}

static int
read_force(HttpAction *action, const char *field, json_object *value)
{
	return read_flag(action, field, value, &action->force);
}

static int
read_role(HttpAction *action, const char *field, json_object *value)
{
	static const struct
	{
		const char *name;
		HttpActionRole role;
	} roles[] = {{"primary", HTTP_ROLE_PRIMARY},
				 {"master", HTTP_ROLE_PRIMARY},
				 {"replica", HTTP_ROLE_REPLICA},
				 {"standby_leader", HTTP_ROLE_STANDBY_LEADER}};

	for (size_t i = 0; i < N_ELEMENTS(roles); i++)
		if (json_object_is_type(value, json_type_string) &&
			strcmp(json_object_get_string(value), roles[i].name) == 0)
		{
			action->role = roles[i].role;
			return 0;
		}
	return refuse(action, BAD_REQUEST, "%s is primary, replica or standby_leader", field);
}

static int
read_version(HttpAction *action, const char *field, json_object *value)
{
	if (json_object_is_type(value, json_type_string))
		action->below_version = http_parse_version(json_object_get_string(value));
	return action->below_version > 0
			   ? 0
			   : refuse(action, BAD_REQUEST, "%s is a version such as \"15.3\"", field);
}

static int
read_timeout(HttpAction *action, const char *field, json_object *value)
{
	if (json_object_is_type(value, json_type_string) || json_object_is_type(value, json_type_int) ||
		json_object_is_type(value, json_type_double))
		action->timeout = http_parse_seconds(json_object_get_string(value));
	return action->timeout > 0
			   ? 0
			   : refuse(action, BAD_REQUEST, "%s is a number of seconds above zero", field);
}

typedef struct Field
{
	const char *name;
	int (*read)(HttpAction *action, const char *field, json_object *value);
} Field;

static const Field takeover_fields[] = {{"leader", read_leader},
										{"candidate", read_candidate},
										{"member", read_candidate},
										{"scheduled_at", read_moment},
										{NULL, NULL}};
static const Field restart_fields[] = {
	{"schedule", read_moment},			{"restart_pending", read_pending}, {"role", read_role},
	{"postgres_version", read_version}, {"timeout", read_timeout},		   {NULL, NULL}};
static const Field reinitialize_fields[] = {{"force", read_force}, {NULL, NULL}};

/* What a body may hold.  A condition that is not understood must not be taken for fulfilled. */
typedef struct Body
{
	bool needed;
	bool strict;		 /* unknown fields are refused */
	bool kept;			 /* as a document */
	const Field *fields; /* NULL: none are read */
} Body;

static const Body bodies[N_HTTP_ACTIONS] = {
	[HTTP_SWITCHOVER] = {true, false, false, takeover_fields},
	[HTTP_FAILOVER] = {true, false, false, takeover_fields},
	[HTTP_RESTART] = {false, true, false, restart_fields},
	[HTTP_REINITIALIZE] = {false, false, false, reinitialize_fields},
	[HTTP_PATCH_CONFIG] = {true, false, true, NULL},
	[HTTP_PUT_CONFIG] = {true, false, true, NULL},
	[HTTP_FAILSAFE] = {true, false, true, NULL},
};

/* Reads the fields that are not null. */
static int
read_fields(HttpAction *action, const Body *body, json_object *object)
{
	int known = 0;

	for (const Field *f = body->fields; f->name != NULL; f++)
	{
		json_object *value;
		int status;

		if (!json_object_object_get_ex(object, f->name, &value))
			continue;
		known++;
		if (value == NULL)
			continue;
		status = f->read(action, f->name, value);
		if (status != 0)
			return status;
	}
	if (body->strict && json_object_object_length(object) > known)
		return refuse(action, BAD_REQUEST, "the body has a field that is not known");
	return 0;
}

int
http_parse_action(HttpActionKind kind, const char *body, size_t length, HttpAction *action)
{
	const Body *expected = &bodies[kind];
	json_object *object;
	int status = 0;

	memset(action, 0, sizeof(*action));
	action->kind = kind;
	if (!expected->kept && expected->fields == NULL)
		return 0;
	if (length == 0)
		return expected->needed ? refuse(action, BAD_REQUEST, "the body is missing") : 0;
	object = parse_object(body, length);
	if (object == NULL)
		return refuse(action, BAD_REQUEST, "the body is not a JSON object");
	if (expected->needed && json_object_object_length(object) == 0)
		status = refuse(action, BAD_REQUEST, "the body is empty");
	if (status == 0 && expected->fields != NULL)
		status = read_fields(action, expected, object);
	if (status == 0 && expected->kept)
		action->document = object;
	else
		json_object_put(object);
	return status;
}
