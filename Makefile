# Trivet: an in-memory data server that speaks the Redis/Valkey protocol.
#
#   make run      installs what is missing, builds, starts cache, cable and session; Ctrl-C stops them
#   make test     installs what the tests need, builds and runs them all
#   make help     the other targets
#
# Everything that is built lands in build/<variant>. V=1 shows whole commands; -j is the number of cores unless given.

SHELL := /bin/bash
VARIANT ?= release
B := build/$(VARIANT)
PREFIX ?= /usr/local
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR ?= $(PREFIX)/lib/systemd/system
DOCDIR ?= $(PREFIX)/share/doc/trivet
DESTDIR ?=
EXTRA_CPPFLAGS ?=
EXTRA_CFLAGS ?=
EXTRA_LDFLAGS ?=
FUZZ_SECONDS ?= 60
CRASH_ROUNDS ?= 80
REPLICATION_KEYS ?= 1000000
REPLICATION_CUTS ?= 300
SEEDS ?= 1000
# Which tests `make test` runs: all, or those whose name matches this pattern.
T ?=

# A -j on the command line wins over this; under another make its job slots are shared.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

# ---- flags ----

CC := gcc
PKGS := libevent libssl libcrypto libsystemd lua5.1 lua5.1-cjson lua5.1-bitop
WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CPPFLAGS := -Iinclude -Isrc -D_GNU_SOURCE -DVARIANT_$(VARIANT) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS := -std=gnu11 -g -fno-omit-frame-pointer -pthread
LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -llzf -lm
LDFLAGS := -pthread -Wl,--build-id

ifeq ($(VARIANT),release)
CFLAGS += $(WARN) -O2 -fno-plt
LDLIBS += -ljemalloc
else ifeq ($(VARIANT),debug)
CFLAGS += $(WARN) -O1
CPPFLAGS += -DTRIVET_DEBUG
LDLIBS += -ljemalloc
# A sanitizer's report needs lines, not variables: what is built is half as large.
else ifeq ($(VARIANT),asan)
CFLAGS += $(WARN) -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all
CPPFLAGS += -DTRIVET_SANITIZE -DTRIVET_DEBUG
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
CFLAGS += $(WARN) -O1 -g1 -fsanitize=thread
CPPFLAGS += -DTRIVET_SANITIZE -DTRIVET_DEBUG
LDFLAGS += -fsanitize=thread
else ifeq ($(VARIANT),fuzz)
# Only for tests/fuzz. Without warnings: the other variants compile with gcc's, and clang has different ones.
CC := clang
CFLAGS += -w -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CPPFLAGS += -DTRIVET_SANITIZE -DTRIVET_DEBUG
LDFLAGS += -fsanitize=fuzzer,address,undefined
else
$(error VARIANT is release, debug, asan, tsan or fuzz, not '$(VARIANT)')
endif

# What a distribution's build adds to them.
CPPFLAGS += $(EXTRA_CPPFLAGS)
CFLAGS += $(EXTRA_CFLAGS)
LDFLAGS += $(EXTRA_LDFLAGS)

# $(call say,CC,file) prints a short line in place of the command, unless V=1.
say = $(if $(filter 1,$(V)),,@printf '%-4s %s\n' '$(1)' '$(2)';)

# ---- what there is ----

LAYERS := base transport types resp keyspace persist cluster engine script commands net web server
SOURCES := $(foreach layer,$(LAYERS),$(wildcard src/$(layer)/*.c src/$(layer)/*/*.c))
OBJECTS := $(SOURCES:%.c=$(B)/%.o)
MAIN := $(B)/src/server/main.o
LIBRARY := $(B)/libtrivet.a
SERVER := $(B)/trivet-server
# Each src/tools/trivet-<x>.c is the main file of a program of its own.
TOOLS := $(patsubst src/tools/%.c,$(B)/%,$(wildcard src/tools/trivet-*.c))

UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c)
UNIT_TESTS := $(UNIT_SOURCES:tests/%.c=$(B)/tests/%)
INTEGRATION_SOURCES := $(wildcard tests/commands/test_*.c tests/integration/test_*.c tests/crash/test_*.c \
    tests/replication/test_*.c tests/cluster/test_*.c)
INTEGRATION_TESTS := $(INTEGRATION_SOURCES:tests/%.c=$(B)/tests/%)
HARNESS_SOURCES := $(wildcard tests/harness/*.c)
HARNESS_OBJECTS := $(HARNESS_SOURCES:%.c=$(B)/%.o)
# Code that the tests of tests/crash share.
CRASH_SOURCES := $(filter-out $(INTEGRATION_SOURCES),$(wildcard tests/crash/*.c))
DIFFERENTIAL_SOURCES := $(wildcard tests/differential/*.c)
DIFFERENTIAL_OBJECTS := $(DIFFERENTIAL_SOURCES:%.c=$(B)/%.o)
DIFFERENTIAL := $(B)/tests/differential/differential
# What those of tests/replication share; the differential test's generators write for them.
REPLICATION_SOURCES := $(filter-out $(INTEGRATION_SOURCES),$(wildcard tests/replication/*.c)) \
    $(filter-out tests/differential/differential.c,$(DIFFERENTIAL_SOURCES))
# What those of tests/cluster share.
CLUSTER_SOURCES := $(filter-out $(INTEGRATION_SOURCES),$(wildcard tests/cluster/*.c))
# A cluster in one process: tests, and what they share.
SIM_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/sim/test_*.c))
SIM_OBJECTS := $(patsubst %.c,$(B)/%.o,$(filter-out tests/sim/test_%,$(wildcard tests/sim/*.c)))
FUZZERS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
# Preloaded into a server that a test starts: makes its disk fail.
SHIM := $(B)/tests/faults/disk_shim.so
BENCHES := $(patsubst %.c,$(B)/%,$(wildcard bench/*.c))
# What the programs about eviction share.
BENCH_EVICTION_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard bench/eviction/*.c))

.PHONY: all
all: $(SERVER) $(TOOLS) ## builds server and tools into build/<variant> (VARIANT=release, debug, asan or tsan)

# ---- rules ----

# -rdynamic: the backtrace of a crash shows names of functions.
$(SERVER): $(MAIN) $(LIBRARY)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -rdynamic -o $@ $^ $(LDLIBS)

$(TOOLS): $(B)/%: $(B)/src/tools/%.o $(LIBRARY)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIBRARY): $(filter-out $(MAIN),$(OBJECTS))
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(B)/%.o: %.c $(B)/flags
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Has the page in it.
$(B)/src/web/page.o: src/web/page.html

# Changes when the flags change, so that everything is compiled again then, and only then.
.PHONY: always
always:
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS)
$(B)/flags: always
	@mkdir -p $(@D); [[ -f $@ && "$$(<$@)" == '$(FLAGS)' ]] || echo '$(FLAGS)' >$@

$(UNIT_TESTS): $(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIBRARY)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) -lcmocka $(LDLIBS)

# The rooms of engine and scripts are tested through the harness's loopback clients, transport with its certificates.
$(filter $(B)/tests/unit/engine/% $(B)/tests/unit/script/% $(B)/tests/unit/transport/%,$(UNIT_TESTS)): $(HARNESS_OBJECTS)

$(INTEGRATION_TESTS): $(B)/tests/%: $(B)/tests/%.o $(HARNESS_OBJECTS) $(LIBRARY)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

$(filter $(B)/tests/crash/%,$(INTEGRATION_TESTS)): $(CRASH_SOURCES:%.c=$(B)/%.o)

$(filter $(B)/tests/replication/%,$(INTEGRATION_TESTS)): $(REPLICATION_SOURCES:%.c=$(B)/%.o)

$(filter $(B)/tests/cluster/%,$(INTEGRATION_TESTS)): $(CLUSTER_SOURCES:%.c=$(B)/%.o)

$(SIM_TESTS): $(B)/tests/sim/%: $(B)/tests/sim/%.o $(SIM_OBJECTS) $(LIBRARY)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

$(DIFFERENTIAL): $(DIFFERENTIAL_OBJECTS) $(HARNESS_OBJECTS) $(LIBRARY)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

$(SHIM): $(B)/%.so: %.c $(B)/flags
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(filter-out -fsanitize=%,$(CFLAGS)) -fPIC -shared -MMD -MP \
	    -o $@ $< -ldl

$(FUZZERS) $(BENCHES): $(B)/%: $(B)/%.o $(LIBRARY)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) $(LDLIBS)

$(filter $(B)/bench/eviction_%,$(BENCHES)): $(BENCH_EVICTION_OBJECTS)

$(B)/bench/engine_bench: $(B)/tests/harness/engine.o

.PRECIOUS: $(B)/%.o
-include $(shell find $(B) -name '*.d' 2>/dev/null)

# Without the libraries the compiler would stop at some header: name what is missing instead. (`make run` and `make
# test` install the libraries first and then call make again.)
ifneq ($(shell pkg-config --exists $(PKGS) 2>/dev/null && echo found),found)
.PHONY: libraries-missing
$(B)/flags: libraries-missing
libraries-missing:
	@echo "Libraries are missing ($(PKGS)). To install them: scripts/install-packages build" >&2; exit 1
endif

# ---- to use it ----

.PHONY: run
run: ## installs what is missing, builds, runs the three instances of conf/ until Ctrl-C
	@scripts/install-packages build
	@$(MAKE) --no-print-directory all
	@exec scripts/run-three $(SERVER)

.PHONY: install
install: all ## installs server, conf files, systemd unit, manual and documents (PREFIX=/usr/local, DESTDIR=)
	@PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' DOCDIR='$(DOCDIR)' DESTDIR='$(DESTDIR)' \
	    scripts/install-files install $(SERVER) $(TOOLS)

.PHONY: uninstall
uninstall: ## removes what install put there, except conf files that were changed
	@PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' DOCDIR='$(DOCDIR)' DESTDIR='$(DESTDIR)' \
	    scripts/install-files uninstall

.PHONY: deb
deb: ## builds the Debian packages trivet and trivet-as-redis into build/deb (DEB_VERSION=: by another version)
	@scripts/install-packages build deb
	@DEB_VERSION='$(DEB_VERSION)' scripts/build-deb

# ---- to test it ----

.PHONY: test
test: ## installs what the tests need, builds and runs them all (T=pattern: some; VARIANT=asan or tsan)
	@scripts/install-packages build test
	@$(MAKE) --no-print-directory test-programs
	@TRIVET_BUILD='$(B)' exec tests/run $(VARIANT) '$(T)'

.PHONY: test-programs
test-programs: $(SERVER) $(TOOLS) $(UNIT_TESTS) $(INTEGRATION_TESTS) $(SIM_TESTS) $(SHIM) $(DIFFERENTIAL) $(BENCHES) ## builds the tests

.PHONY: asan
asan: ## the tests under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory test VARIANT=asan

.PHONY: tsan
tsan: ## the tests under the thread sanitizer
	@$(MAKE) --no-print-directory test VARIANT=tsan

.PHONY: crash
crash: ## kills servers under load, cuts their power, lets replicas take over, CRASH_ROUNDS=80 times in each way
	@scripts/install-packages build test
	@$(MAKE) --no-print-directory test-programs
	@for program in $(patsubst %.c,$(B)/%,$(wildcard tests/crash/test_*.c)); do \
	    TRIVET_ROUNDS=$(CRASH_ROUNDS) $$program || exit 1; done

.PHONY: replication
replication: ## replication with REPLICATION_KEYS=1000000 keys, and REPLICATION_CUTS=300 cuts of each link
	@scripts/install-packages build test
	@$(MAKE) --no-print-directory test-programs
	@for program in $(patsubst %.c,$(B)/%,$(wildcard tests/replication/test_*.c)); do \
	    TRIVET_REPLICATION_KEYS=$(REPLICATION_KEYS) TRIVET_REPLICATION_CUTS=$(REPLICATION_CUTS) $$program || exit 1; done

.PHONY: sim
sim: ## runs clusters of up to a hundred nodes in one process, SEEDS=1000 of them
	@scripts/install-packages build test
	@$(MAKE) --no-print-directory $(SIM_TESTS)
	@for program in $(SIM_TESTS); do TRIVET_SIM_SEEDS=$(SEEDS) $$program || exit 1; done

.PHONY: tidy
tidy: ## only the checks of layers, sizes, headers, words and lock annotations
	@TRIVET_BUILD='$(B)' exec tests/run $(VARIANT) tidy

.PHONY: fuzz
fuzz: ## feeds tests/fuzz with random input, each for FUZZ_SECONDS=60
	@scripts/install-packages build tools
	@$(MAKE) --no-print-directory VARIANT=fuzz B=build/fuzz fuzz-programs
	@exec scripts/fuzz build/fuzz $(FUZZ_SECONDS)

.PHONY: fuzz-programs
fuzz-programs: $(FUZZERS)

.PHONY: bench
bench: ## speed and memory beside Debian's redis-server, in some minutes (BENCH_ONLY=strings,types,...: some)
	@scripts/install-packages build bench
	@$(MAKE) --no-print-directory all $(BENCHES)
	@exec bench/run $(SERVER)

.PHONY: bench-full
bench-full: ## all of it with more rounds and 10 M keys; writes bench/results.md and its plots, and goes on where it was broken off
	@scripts/install-packages build bench
	@$(MAKE) --no-print-directory all $(BENCHES)
	@exec bench/full $(SERVER)

# ---- to work on it ----

.PHONY: fmt
fmt: ## formats all C files of the repository
	@scripts/install-packages tools
	@scripts/format

.PHONY: fmt-check
fmt-check: ## fails if `make fmt` would change something
	@scripts/install-packages tools
	@scripts/format --check

.PHONY: screenshots
screenshots: ## docs/screenshots: the page of an instance under load, in some minutes
	@scripts/install-packages build test
	@$(MAKE) --no-print-directory all
	@TRIVET_SERVER='$(SERVER)' PAGE_PROGRAM=screenshots.js exec tests/page/run

.PHONY: where
where: ## C=GETEX: where a command's row, function and tests are
	@scripts/where '$(C)'

.PHONY: clean
clean: ## removes everything that was built
	rm -rf build

.PHONY: help
help: ## prints this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
