/* questions.c: see questions.h.
 *
 * A question is the first argument, as redis-server has it; what follows one that takes no more is not looked
 * at. Under the name of redis-server or valkey-server the answers are those of a drop-in replacement: the
 * version is the one that this server is compatible with, as in INFO, because scripts decide by it what they
 * may ask of a server; and the usage goes to standard error with status 1, as there. */
#include "trivet/server/questions.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include "trivet/base/version.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/server/check_system.h"
#include "trivet/server/health.h"
#include "trivet/server/test_memory.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The name that the program was called by, without its folder. */
static const char *name_of(char **argv) {
    const char *path = argv[0] ? argv[0] : "trivet-server", *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- the version ---- */

/* The fields of redis-server's line, in its order; what is ours comes last. */
static int tell_version(int argc, char **argv) {
    (void)argc;
    const char *name = name_of(argv), *version = TRIVET_VERSION;
    char last[64] = "trivet=" TRIVET_VERSION;
    if (strstr(name, "redis-"))
        version = TRIVET_REDIS_VERSION;
    else if (strstr(name, "valkey-"))
        version = TRIVET_VALKEY_VERSION;
    else
        snprintf(last, sizeof last, "redis=%s valkey=%s", TRIVET_REDIS_VERSION, TRIVET_VALKEY_VERSION);
    server_facts_init();
    printf("Trivet server v=%s sha=00000000:0 malloc=%s bits=%zu build=%s %s\n", version,
           mem_allocator_name(), sizeof(void *) * 8, server_facts.build_id, last);
    return 0;
}

/* ---- the usage ---- */

static const struct {
    const char *arguments, *meaning;
} usage[] = {
    { "[/path/to/trivet.conf | -] [--directive value ...] [-]",
      "serves; '-' reads directives from standard input" },
    { "health [--help] [...]", "tells whether a server is ready" },
    { "-v | --version", "tells the version" },
    { "-h | --help", "tells this" },
    { "--check-system", "tells whether this machine is set up well" },
    { "--test-memory <megabytes>", "tests the memory of this machine" },
};

static const char *const examples[] = {
    "                                  (defaults: port 6379)",
    "conf/cache.conf",
    "conf/session.conf --port 7000 --dir /var/lib/trivet",
    "--maxmemory 1gb --maxmemory-policy allkeys-lru --save \"\"",
    "health --port 6381 --replica",
};

static int tell_usage(int argc, char **argv) {
    (void)argc;
    const char *name = name_of(argv);
    bool as_drop_in = strstr(name, "redis-") || strstr(name, "valkey-");
    FILE *out = as_drop_in ? stderr : stdout;
    for (size_t i = 0; i < COUNT_OF(usage); i++)
        fprintf(out, "%s %s %s\n           %s\n", i == 0 ? "Usage:" : "      ", name, usage[i].arguments,
                usage[i].meaning);
    fprintf(out, "\nDirectives are those of Valkey's configuration file; a value with spaces is quoted. All "
                 "of them, with\n"
                 "their defaults, are in conf/trivet.conf.\n\nExamples:\n");
    for (size_t i = 0; i < COUNT_OF(examples); i++) fprintf(out, "       %s %s\n", name, examples[i]);
    fprintf(out, "       echo 'port 7777' | %s -\n", name);
    return as_drop_in ? 1 : 0;
}

/* ---- the rest ---- */

static int look_at_system(int argc, char **argv) {
    (void)argc;
    (void)argv;
    return check_system(stdout, "");
}

static int look_at_memory(int argc, char **argv) {
    if (argc == 3) return test_memory(argv[2]);
    fprintf(stderr,
            "Please specify the amount of memory to test in megabytes.\nExample: %s --test-memory 4096\n",
            name_of(argv));
    return 1;
}

static int look_at_health(int argc, char **argv) { return health(argc - 2, argv + 2); }

static const struct {
    const char *word;
    int (*answer)(int argc, char **argv);
} questions[] = {
    { "-v", tell_version },       { "--version", tell_version },        { "-h", tell_usage },
    { "--help", tell_usage },     { "--check-system", look_at_system }, { "--test-memory", look_at_memory },
    { "health", look_at_health },
};

static bool asks_for_sentinel(int argc, char **argv) {
    bool asks = strstr(name_of(argv), "-sentinel") != NULL;
    for (int i = 1; i < argc; i++) asks |= strcmp(argv[i], "--sentinel") == 0;
    return asks;
}

/* redis-server is all of these programs, by the name that it is called by. */
static int refuse_check_tool(char **argv) {
    const char *name = name_of(argv);
    static const char *const tools[] = { "-check-aof", "-check-rdb" };
    for (size_t i = 0; i < COUNT_OF(tools); i++) {
        if (!strstr(name, tools[i])) continue;
        fprintf(stderr, "%s: this program is the server. The tool is trivet%s: link that instead.\n", name,
                tools[i]);
        return 1;
    }
    return QUESTION_NONE;
}

static int refuse_sentinel(void) {
    fprintf(stderr, "Sentinel is not built in. Debian's redis-sentinel, or Valkey's, watches Trivet and "
                    "fails over for it:\n"
                    "       apt-get install redis-sentinel\n"
                    "       redis-sentinel /path/to/a/copy/of/conf/sentinel.conf\n");
    return 1;
}

int questions_answer(int argc, char **argv) {
    int status = refuse_check_tool(argv);
    if (status != QUESTION_NONE) return status;
    for (size_t i = 0; argc > 1 && i < COUNT_OF(questions); i++)
        if (strcmp(argv[1], questions[i].word) == 0) return questions[i].answer(argc, argv);
    return asks_for_sentinel(argc, argv) ? refuse_sentinel() : QUESTION_NONE;
}
