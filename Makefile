# pgcluster: PGXS build.  "make demo" and "make test" are the two commands of
# the README; both install what they need first.

EXTENSION = pgcluster
MODULE_big = pgcluster
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" pgcluster.control)

SOURCES = $(sort $(wildcard src/*.c src/*/*.c src/*/*/*.c))
OBJS = $(patsubst %.c,%.o,$(filter-out src/bin/%,$(SOURCES)))
DATA = $(wildcard sql/pgcluster--*.sql)
EXTRA_CLEAN = test/unit/build test/sim/build

# "make demo" and "make test" run on a machine where pg_config may not be
# there yet; only they and the targets that need no server skip PGXS.
BARE_GOALS = demo test nightly valgrind sim format format-check
ifneq ($(filter-out $(BARE_GOALS),$(or $(MAKECMDGOALS),all)),)

PG_CONFIG ?= pg_config
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -fvisibility=hidden
ifneq ($(findstring clang,$(CC)),)
# The server's flags are those of the compiler it was built with.
PG_CFLAGS += -Wno-ignored-optimization-argument -Wno-unknown-warning-option
endif
# As system headers the server's own cannot trip -Werror.
PG_CPPFLAGS = -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) \
	-DPGCLUSTER_VERSION='"$(EXTVERSION)"' \
	-DPGDLLEXPORT='__attribute__((visibility("default")))' \
	$(shell pkg-config --cflags libcurl json-c libmicrohttpd gnutls) -I$(shell $(PG_CONFIG) --includedir)
SHLIB_LINK = $(shell pkg-config --libs libcurl json-c libmicrohttpd gnutls) -lpq

REGRESS = $(sort $(patsubst sql/%.sql,%,$(filter-out sql/pgcluster--%,$(wildcard sql/*.sql))))
ISOLATION = $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
TAP_TESTS = 1
PROVE_TESTS = $(sort $(wildcard test/t/*.pl))
REGRESS_OPTS = --temp-instance=tmp_check/regress --temp-config=$(srcdir)/test/pgcluster.conf
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation \
	--temp-instance=tmp_check/isolation --temp-config=$(srcdir)/test/pgcluster.conf

# pg_regress makes the last directory of a temporary instance's path only.
REGRESS_PREP = tmp_check

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

tmp_check:
	mkdir -p $@

PROVE_FLAGS += -I $(CURDIR)/test/perl

# PGXS tracks no headers.
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h src/*/*.h src/*/*/*.h)

# pgcluster_node is a product of its own: PGXS builds one a Makefile.
all: node
node:
	$(MAKE) -C src/bin PG_CONFIG=$(PG_CONFIG) EXTVERSION=$(EXTVERSION) all
install: install-node
install-node: node
	$(MAKE) -C src/bin PG_CONFIG=$(PG_CONFIG) EXTVERSION=$(EXTVERSION) install
clean: clean-node
clean-node:
	$(MAKE) -C src/bin PG_CONFIG=$(PG_CONFIG) EXTVERSION=$(EXTVERSION) clean
uninstall: uninstall-node
uninstall-node:
	$(MAKE) -C src/bin PG_CONFIG=$(PG_CONFIG) EXTVERSION=$(EXTVERSION) uninstall
.PHONY: node install-node clean-node uninstall-node
endif

FORMAT_FILES = $(sort $(wildcard src/*.[ch] src/*/*.[ch] src/*/*/*.[ch] test/unit/*.[ch] test/sim/*.[ch] test/sim/fake/*.h test/fuzz/*.[ch] test/modules/*/*.[ch]))

format:
	clang-format -i $(FORMAT_FILES)
format-check:
	clang-format --dry-run -Werror $(FORMAT_FILES)
demo:
	@KEEP="$(KEEP)" test/demo
test:
	@test/run
nightly:
	@test/nightly
valgrind:
	@test/valgrind/run
RUNS ?= 10000
SEED ?= 1
sim:
	@$(MAKE) -s -C test/sim run RUNS=$(RUNS) SEED=$(SEED)
.PHONY: format format-check demo test nightly valgrind sim
