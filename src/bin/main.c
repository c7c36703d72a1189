/*-------------------------------------------------------------------------
 * main.c
 *	  The commands of pgcluster_node and their options, one row each.
 *
 * The rows are parser and help at once.  What a command does is in the file
 * that bears its name (run: supervise.c).
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <limits.h>
#include <unistd.h>

#include "common/logging.h"
#include "getopt_long.h"

#include "node.h"
#include "process.h"

/* Bits of commands */
#define FOR_RUN 1
#define FOR_CLONE 2
#define FOR_REJOIN 4
#define FOR_RESTART 8
#define FOR_ALL (FOR_RUN | FOR_CLONE | FOR_REJOIN)
#define FOR_STORE (FOR_ALL | FOR_RESTART)

#define DEFAULT_PORT "5432"
#define DEFAULT_HTTP_PORT "8008"

typedef struct Command
{
	const char *name;
	int bit;
	const char *synopsis;
	const char *summary;
	const char *description;
	const char *exit_status;
	int (*run)(void);
} Command;

typedef enum OptionKind
{
	OPTION_STRING, /* const char * */
	OPTION_LIST,   /* StringList */
	OPTION_FLAG	   /* const char *: set or NULL */
} OptionKind;

typedef struct Option
{
	const char *name;
	char letter; /* 0: none */
	OptionKind kind;
	int commands;
	int required_by;
	size_t field;
	const char *argument;
	const char *help;
} Option;

NodeOptions options = {
	.namespace = "/service/",
	.group = "0",
	.etcd_protocol = "http",
	.listen = "*",
	.port = DEFAULT_PORT,
	.replication_user = "replicator",
};

#define FIELD(field) offsetof(NodeOptions, field)

/* clang-format off */
static const Command commands[] = {
	{"run", FOR_RUN,
	 "pgcluster_node run -D DIR --scope SCOPE --name NAME --etcd HOST:PORT[,...] [OPTION]...",
	 "make or join a member, and run its server in the foreground",
	 "Runs a member of a cluster as the foreground parent of its postmaster, for\n"
	 "systemd, containers and terminals.\n"
	 "\n"
	 "If DIR holds no data yet, the first member of the group initialises it (initdb\n"
	 "with data checksums, roles, a pg_hba.conf that asks everybody for a password);\n"
	 "every other one waits for the group's leader and clones it with pg_basebackup.\n"
	 "The server always starts as a standby; the agent inside it promotes it when it\n"
	 "wins the lease of its group in etcd.\n"
	 "\n"
	 "A postmaster that dies is started again. A member that has diverged from its\n"
	 "leader is rewound with pg_rewind or, where that is impossible, cloned anew; its\n"
	 "old data stay until the new copy is complete.\n"
	 "\n"
	 "Settings given here are written to DIR/pgcluster_node.conf before every start;\n"
	 "postgresql.conf includes that file.\n"
	 "\n"
	 "SIGTERM and SIGINT stop the server (fast shutdown), SIGQUIT stops it at once\n"
	 "(immediate shutdown), SIGHUP makes it read its configuration again. If this\n"
	 "program is killed, the server shuts down.\n"
	 "\n"
	 "Passwords: the file of --passfile is in the format of .pgpass. The member that\n"
	 "initialises a group makes it, with a random password for all hosts, if it is\n"
	 "not there. Members on other hosts need a copy of it before they start.\n",
	 "0 after the server was stopped in an orderly manner, 1 when it could not be\n"
	 "made, started, or kept running.\n",
	 run_command_run},
	{"clone", FOR_CLONE,
	 "pgcluster_node clone -D DIR (--source CONNINFO | --scope SCOPE --etcd HOST:PORT[,...]) [OPTION]...",
	 "make a copy of the group's leader",
	 "Copies a running server into DIR with pg_basebackup and starts nothing. The\n"
	 "server is the one of --source or else the present leader of the group. DIR must\n"
	 "be empty or absent. An interrupted copy is never taken for a data directory; the\n"
	 "next attempt replaces it.\n",
	 "0 when the copy is complete, else 1.\n",
	 run_command_clone},
	{"rejoin", FOR_REJOIN,
	 "pgcluster_node rejoin -D DIR [--source CONNINFO | --scope SCOPE --etcd HOST:PORT[,...]] [OPTION]...",
	 "bring a server that has diverged back as a standby",
	 "Stops the server of DIR if it runs, lets pg_rewind undo what its leader never\n"
	 "had, and starts it again with pg_ctl as a standby. If pg_rewind cannot do it, the\n"
	 "leader is cloned anew; the old data stay until the new copy is complete. The\n"
	 "server's own configuration files are kept.\n"
	 "\n"
	 "The leader is the one of --source, else the one in DIR/pgcluster.rejoin (where\n"
	 "the agent writes it), else the one found in etcd. If the server runs under\n"
	 "\"pgcluster_node run\", that program is asked to do all this.\n",
	 "0 when the server is back (or, under \"run\", was told to rejoin), else 1.\n",
	 run_command_rejoin},
	{"restart", FOR_RESTART,
	 "pgcluster_node restart -D DIR [--scope SCOPE --etcd HOST:PORT[,...]] [OPTION]...",
	 "restart a server so that a leader leads on",
	 "Stops the server of DIR and starts it again with pg_ctl. The agent runs this when\n"
	 "cluster_restart() is called for a server that does not run under \"pgcluster_node\n"
	 "run\". It leaves its lease in DIR/pgcluster.restart; with --scope and --etcd that is\n"
	 "kept until the restarted server has taken the lead again, so that no other member\n"
	 "takes over.\n",
	 "0 when the server is back, else 1.\n",
	 run_command_restart},
};

static const Option option_rows[] = {
	{"pgdata", 'D', OPTION_STRING, FOR_STORE, FOR_STORE, FIELD(data_dir), "DIR",
	 "the data directory"},
	{"scope", 's', OPTION_STRING, FOR_STORE, FOR_RUN, FIELD(scope), "SCOPE",
	 "name of the cluster, the same on every member"},
	{"name", 'n', OPTION_STRING, FOR_ALL, FOR_RUN, FIELD(name), "NAME",
	 "name of this member, unique in its group"},
	{"group", 'g', OPTION_STRING, FOR_STORE, 0, FIELD(group), "NUMBER",
	 "group of this member: 0 (default) is the coordinator\n"
	 "group, 1 and up are worker groups, -1 is a cluster\n"
	 "without groups"},
	{"namespace", 0, OPTION_STRING, FOR_STORE, 0, FIELD(namespace), "PREFIX",
	 "prefix of all keys in etcd (default /service/)"},
	{"etcd", 'e', OPTION_STRING, FOR_STORE, FOR_RUN, FIELD(etcd), "HOST:PORT[,...]",
	 "members of etcd"},
	{"etcd-protocol", 0, OPTION_STRING, FOR_STORE, 0, FIELD(etcd_protocol), "PROTOCOL",
	 "http (default) or https"},
	{"etcd-cacert", 0, OPTION_STRING, FOR_STORE, 0, FIELD(etcd_cacert), "FILE",
	 "authorities that etcd's certificate is checked against"},
	{"etcd-cert", 0, OPTION_STRING, FOR_STORE, 0, FIELD(etcd_cert), "FILE",
	 "client certificate shown to etcd"},
	{"etcd-key", 0, OPTION_STRING, FOR_STORE, 0, FIELD(etcd_key), "FILE",
	 "private key of the client certificate"},
	{"etcd-username", 0, OPTION_STRING, FOR_STORE, 0, FIELD(etcd_username), "NAME",
	 "user name for etcd"},
	{"etcd-password-file", 0, OPTION_STRING, FOR_STORE, 0, FIELD(etcd_password_file), "FILE",
	 "file whose first line is the password for etcd"},
	{"port", 'p', OPTION_STRING, FOR_RUN, 0, FIELD(port), "PORT",
	 "port of the server (default 5432)"},
	{"listen", 'l', OPTION_STRING, FOR_RUN, 0, FIELD(listen), "ADDRESS[,...]",
	 "addresses the server listens on (default *, all)"},
	{"advertise-host", 'a', OPTION_STRING, FOR_RUN, 0, FIELD(advertise_host), "HOST",
	 "name or address by which other members reach this one\n"
	 "(default: the host's name)"},
	{"http-port", 0, OPTION_STRING, FOR_RUN, 0, FIELD(http_port), "PORT",
	 "port of the HTTP server (default 8008, or 0, none, when\n"
	 "--port is not 5432)"},
	{"http-listen", 0, OPTION_STRING, FOR_RUN, 0, FIELD(http_listen), "ADDRESS[,...]",
	 "addresses the HTTP server listens on (default 127.0.0.1)"},
	{"passfile", 0, OPTION_STRING, FOR_ALL, 0, FIELD(passfile), "FILE",
	 "passwords of the roles of the cluster, as in .pgpass\n"
	 "(default ~/.pgpass)"},
	{"replication-user", 0, OPTION_STRING, FOR_ALL, 0, FIELD(replication_user), "NAME",
	 "role by which members copy from each other (default\n"
	 "replicator)"},
	{"node-conninfo", 0, OPTION_STRING, FOR_ALL, 0, FIELD(node_conninfo), "PARAMETERS",
	 "more libpq parameters for connections between members,\n"
	 "such as sslmode=verify-full"},
	{"set", 'c', OPTION_LIST, FOR_RUN, 0, FIELD(settings), "NAME=VALUE",
	 "a setting of this server; may be given more than once"},
	{"initdb-arg", 0, OPTION_LIST, FOR_RUN, 0, FIELD(initdb_args), "ARGUMENT",
	 "an argument for initdb, such as --locale=C.UTF-8; may be\n"
	 "given more than once"},
	{"source", 'S', OPTION_STRING, FOR_CLONE | FOR_REJOIN, 0, FIELD(source), "CONNINFO",
	 "the server to copy, as a libpq connection string; its\n"
	 "password belongs in the password file"},
	{"no-start", 0, OPTION_FLAG, FOR_REJOIN, 0, FIELD(no_start), NULL,
	 "leave the server stopped"},
};
/* clang-format on */

#define OPTION_COLUMN 32

static void
print_option(const char *left, const char *help)
{
	int width = printf("  %s", left);

	if (width >= OPTION_COLUMN)
	{
		putchar('\n');
		width = 0;
	}
	for (const char *line = help;;)
	{
		const char *end = strchrnul(line, '\n');

		printf("%*s%.*s\n", OPTION_COLUMN - width, "", (int) (end - line), line);
		if (*end == '\0')
			break;
		line = end + 1;
		width = 0;
	}
}

static void
print_command_help(const Command *command)
{
	printf("pgcluster_node %s: %s\n\nUsage:\n  %s\n\n%s\nOptions:\n", command->name,
		   command->summary, command->synopsis, command->description);
	for (size_t i = 0; i < lengthof(option_rows); i++)
	{
		const Option *o = &option_rows[i];
		char left[128];

		if (!(o->commands & command->bit))
			continue;
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", o->letter ? '-' : ' ',
				 o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
				 o->argument ? "=" : "", o->argument ? o->argument : "");
		print_option(left, o->help);
	}
	print_option("-?, --help", "show this help, then exit");
	printf("\nExit status:\n%s", command->exit_status);
}

static void
print_help(void)
{
	printf("pgcluster_node makes, runs and repairs the server of a member of a cluster.\n\n"
		   "Usage:\n  pgcluster_node COMMAND [OPTION]...\n\nCommands:\n");
	for (size_t i = 0; i < lengthof(commands); i++)
		printf("  %-10s%s\n", commands[i].name, commands[i].summary);
	printf("\nOptions:\n");
	print_option("-V, --version", "show the version, then exit");
	print_option("-?, --help", "show this help, then exit");
	printf("\n\"pgcluster_node COMMAND --help\" explains a command.\n");
}

static void
store_option(const Option *option, const char *value)
{
	void *field = (char *) &options + option->field;

	if (option->kind == OPTION_LIST)
	{
		StringList *list = field;

		list->items = pg_realloc(list->items, (list->n + 1) * sizeof(char *));
		list->items[list->n++] = value;
	}
	else
		*(const char **) field = option->kind == OPTION_FLAG ? "on" : value;
}

static const Option *
find_option(int commands_bit, int letter, int index)
{
	if (letter == 0)
		return &option_rows[index];
	for (size_t i = 0; i < lengthof(option_rows); i++)
		if (option_rows[i].letter == letter && (option_rows[i].commands & commands_bit))
			return &option_rows[i];
	return NULL;
}

static void
give_hint_and_exit(const Command *command)
{
	pg_log_error_hint("Try \"pgcluster_node %s --help\" for more information.", command->name);
	exit(1);
}

static void
check_required(const Command *command)
{
	for (size_t i = 0; i < lengthof(option_rows); i++)
	{
		const Option *o = &option_rows[i];

		if ((o->required_by & command->bit) &&
			*(const char **) ((char *) &options + o->field) == NULL)
		{
			pg_log_error("option --%s is missing", o->name);
			give_hint_and_exit(command);
		}
	}
}

/* The options a command does not know have no place in its table. */
static void
parse_options(const Command *command, int argc, char **argv)
{
	struct option longs[lengthof(option_rows) + 2];
	char shorts[lengthof(option_rows) * 2 + 2];
	int rows[lengthof(option_rows)];
	int n = 0;
	int nshort = 0;
	int index = 0; /* set for long options only */
	int letter;

	for (size_t i = 0; i < lengthof(option_rows); i++)
	{
		const Option *o = &option_rows[i];
		bool has_argument = o->kind != OPTION_FLAG;

		if (!(o->commands & command->bit))
			continue;
		rows[n] = i;
		longs[n++] = (struct option){o->name, has_argument ? required_argument : no_argument, NULL,
									 o->letter};
		if (o->letter)
		{
			shorts[nshort++] = o->letter;
			if (has_argument)
				shorts[nshort++] = ':';
		}
	}
	longs[n] = (struct option){"help", no_argument, NULL, '?'};
	longs[n + 1] = (struct option){0};
	shorts[nshort] = '\0';

	while ((letter = getopt_long(argc, argv, shorts, longs, &index)) != -1)
	{
		const Option *option =
			letter == '?' ? NULL : find_option(command->bit, letter, rows[index]);

		if (option == NULL)
			give_hint_and_exit(command);
		store_option(option, optarg);
	}
	if (optind < argc)
	{
		pg_log_error("too many command-line arguments (first is \"%s\")", argv[optind]);
		give_hint_and_exit(command);
	}
	check_required(command);
}

static void
check_number(const char *what, const char *value, long min, long max)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || number < min || number > max)
		pg_fatal("%s must be a number from %ld to %ld, not \"%s\"", what, min, max, value);
}

/* Names become parts of keys. */
static void
check_name(const char *what, const char *value)
{
	if (value != NULL && (value[0] == '\0' || strchr(value, '/') != NULL))
		pg_fatal("%s must not be empty or contain a slash: \"%s\"", what, value);
}

/* Members that share a host, and so have ports of their own, must not get in each other's way. */
static const char *
default_http_port(void)
{
	return strcmp(options.port, DEFAULT_PORT) == 0 ? DEFAULT_HTTP_PORT : "0";
}

static void
check_values(void)
{
	if (options.http_port == NULL)
		options.http_port = default_http_port();
	check_number("group", options.group, -1, INT_MAX);
	check_number("port", options.port, 1, 65535);
	check_number("http-port", options.http_port, 0, 65535);
	check_name("scope", options.scope);
	check_name("name", options.name);
	if (strcmp(options.etcd_protocol, "http") != 0 && strcmp(options.etcd_protocol, "https") != 0)
		pg_fatal("the protocol of etcd must be http or https, not \"%s\"", options.etcd_protocol);
	for (int i = 0; i < options.settings.n; i++)
		if (strchr(options.settings.items[i], '=') == NULL)
			pg_fatal("a setting must have the form name=value: \"%s\"", options.settings.items[i]);
}

static void
complete_options(const char *argv0)
{
	char *dir = make_absolute_path(options.data_dir);

	if (dir == NULL)
		exit(1);
	canonicalize_path(dir);
	options.data_dir = dir;

	if (find_my_exec(argv0, options.bindir) < 0)
		pg_fatal("could not find the directory of this program");
	get_parent_directory(options.bindir);

	if (options.passfile == NULL)
	{
		char home[MAXPGPATH];

		if (!get_home_path(home))
			pg_fatal("could not find the home directory; give --passfile");
		options.passfile = psprintf("%s/.pgpass", home);
	}
	else
		options.passfile = make_absolute_path(options.passfile);
}

static const Command *
find_command(const char *name)
{
	for (size_t i = 0; i < lengthof(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool
is_help(const char *argument)
{
	return strcmp(argument, "--help") == 0 || strcmp(argument, "-?") == 0;
}

int
main(int argc, char **argv)
{
	const Command *command;

	pg_logging_init(argv[0]);
	pg_logging_set_level(PG_LOG_INFO);

	if (argc < 2 || is_help(argv[1]))
	{
		print_help();
		return argc < 2 ? 1 : 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
	{
		puts("pgcluster_node (pgcluster) " PGCLUSTER_VERSION);
		return 0;
	}
	command = find_command(argv[1]);
	if (command == NULL)
	{
		pg_log_error("there is no command \"%s\"", argv[1]);
		pg_log_error_hint("Try \"pgcluster_node --help\" for more information.");
		return 1;
	}
	for (int i = 2; i < argc; i++)
	{
		if (is_help(argv[i]))
		{
			print_command_help(command);
			return 0;
		}
	}
	if (geteuid() == 0)
	{
		pg_log_error("a server cannot run as \"root\"");
		pg_log_error_hint("Log in as the user that owns (or shall own) the data directory.");
		return 1;
	}

	parse_options(command, argc - 1, argv + 1);
	check_values();
	complete_options(argv[0]);
	process_init();
	return command->run();
}
