# Trivet: an in-memory data server that speaks the Redis/Valkey protocol.
#
#   make run      installs what is missing, builds, starts cache, cable and session; Ctrl-C stops them
#   make test     installs what the tests need, builds and runs them all
#   make help     the other targets

SHELL := /bin/bash
VARIANT ?= release
B := build/$(VARIANT)
PREFIX ?= /usr/local
DESTDIR ?=

CC := gcc
PKGS := libevent libcrypto libsystemd
WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CPPFLAGS := -Iinclude -Isrc -D_GNU_SOURCE -DVARIANT_$(VARIANT) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS := -std=gnu11 -g -fno-omit-frame-pointer -pthread $(WARN)
LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm
LDFLAGS := -pthread

ifeq ($(VARIANT),release)
CFLAGS += -O2 -fno-plt
LDLIBS += -ljemalloc
else ifeq ($(VARIANT),debug)
CFLAGS += -O1
CPPFLAGS += -DTRIVET_DEBUG
LDLIBS += -ljemalloc
else ifeq ($(VARIANT),asan)
CFLAGS += -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
CPPFLAGS += -DTRIVET_SANITIZE -DTRIVET_DEBUG
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
CFLAGS += -O1 -fsanitize=thread
CPPFLAGS += -DTRIVET_SANITIZE -DTRIVET_DEBUG
LDFLAGS += -fsanitize=thread
else
$(error VARIANT is release, debug, asan or tsan, not '$(VARIANT)')
endif

LAYERS := base types resp keyspace persist engine commands net server
SOURCES := $(foreach layer,$(LAYERS),$(wildcard src/$(layer)/*.c))
OBJECTS := $(SOURCES:%.c=$(B)/%.o)
LIBRARY := $(B)/libtrivet.a
SERVER := $(B)/trivet-server

UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS := $(UNIT_SOURCES:tests/%.c=$(B)/tests/%)
INTEGRATION_SOURCES := $(wildcard tests/commands/test_*.c tests/integration/test_*.c tests/crash/test_*.c)
INTEGRATION_TESTS := $(INTEGRATION_SOURCES:tests/%.c=$(B)/tests/%)
HARNESS_SOURCES := $(wildcard tests/harness/*.c)
HARNESS_OBJECTS := $(HARNESS_SOURCES:%.c=$(B)/%.o)

.PHONY: all
all: $(SERVER)

$(SERVER): $(B)/src/server/main.o $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIBRARY): $(filter-out $(B)/src/server/main.o,$(OBJECTS))
	@rm -f $@
	@ar rcs $@ $^

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

$(INTEGRATION_TESTS): $(B)/tests/%: $(B)/tests/%.o $(HARNESS_OBJECTS) $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

.PRECIOUS: $(B)/%.o
-include $(shell find $(B) -name '*.d' 2>/dev/null)
