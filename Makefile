# llm_audit: build with PGXS.  "make", "make install"; for everything else see
# test/all (every test) and test/demo (a throwaway server with the main job).

MODULE_big = llm_audit
EXTENSION = llm_audit
EXTVERSION = 0.1.0
DATA_built = llm_audit--$(EXTVERSION).sql

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/core/*.c \
	src/access/*.c src/ledger/*.c src/mask/*.c src/policy/*.c \
	src/record/*.c src/retention/*.c)))

PG_CONFIG ?= pg_config
# LLVM bitcode needs clang at build time and buys nothing here.
override with_llvm = no

# The server's headers do not build cleanly under -Wextra, so they enter as
# system headers; our own code has to be clean.
PG_CPPFLAGS = -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare $(WERROR)
SHLIB_LINK = -lcrypto

# The parts of the extension script, in the order of their numbers.
SQL_PARTS = $(sort $(wildcard sql/[0-9]*.sql))
EXTRA_CLEAN = llm_audit--$(EXTVERSION).sql test/regress.keys test/regress.keydir

REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --temp-instance=tmp_check \
	--temp-config=test/regress.conf --encoding=UTF8 --no-locale
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --temp-instance=tmp_check_iso \
	--temp-config=test/regress.conf --encoding=UTF8 --no-locale
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard src/*.h src/*/*.h)

# The scanner is all loops: a tenth faster on numbers, where it is slowest.
# Nobody outside of the library calls it, so its functions may be inlined.
$(patsubst %.c,%.o,$(wildcard src/mask/*.c)): CFLAGS += -O3 -fvisibility=hidden

llm_audit--$(EXTVERSION).sql: $(SQL_PARTS) Makefile
	cat $(SQL_PARTS) > $@

# Keys for the servers that the tests start; test/regress.conf names the file
# and the directory.
installcheck: test/regress.keys test/regress.keydir

test/regress.keydir:
	mkdir -m 0700 $@

# Tests read ledgers as superusers, who need a reason like anybody else.
installcheck: export PGOPTIONS = -c llm_audit.reason=tests

test/regress.keys:
	umask 077 && echo "test $$(head -c 32 /dev/urandom | base64)" > $@
