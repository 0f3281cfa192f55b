/* eviction_sim.c: which policy answers the most requests from a cache of a given size?
 *
 * Usage: eviction_sim [REQUESTS [MEGABYTES [FOLDER]]]
 *
 * Runs each trace of eviction/traces.c through each policy (2,000,000 requests, 30 MB) and prints the share
 * of the requests that were hits, that of the bytes, and how many keys were inside. With FOLDER it writes the
 * first two as eviction-hits.svg and eviction-bytes.svg. Seeds are fixed, so two runs print the same. Each
 * trace is a process of its own, as many at a time as there are cores. Not part of the tests. */
#include "eviction/cache.h"
#include "eviction/plot.h"
#include "trivet/base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct policy *const policies[] = {
    &policy_random, &policy_sampled_lru, &policy_lru,     &policy_lfu,    &policy_2q,
    &policy_sieve,  &policy_s3fifo,      &policy_tinylfu, &policy_trivet,
};
#define POLICIES (sizeof policies / sizeof *policies)
#define TRACES_MAX 16

static size_t trace_count(void) {
    size_t n = 0;
    while (trace_names[n]) n++;
    return n;
}

static void run_trace(const char *name, size_t requests, size_t capacity, struct outcome *out) {
    struct trace t = trace_make(name, requests);
    for (size_t i = 0; i < POLICIES; i++) out[i] = cache_run(&t, capacity, policies[i]);
    trace_release(&t);
}

/* Waits for a child; ends the process if it failed. */
static void reap(void) {
    int status;
    if (wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    fprintf(stderr, "eviction_sim: a trace failed\n");
    exit(1);
}

/* The outcomes, a row of POLICIES for each trace, in memory that the children share. */
static struct outcome *run_all(size_t traces, size_t requests, size_t capacity) {
    size_t bytes = traces * POLICIES * sizeof(struct outcome);
    struct outcome *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) {
        perror("eviction_sim: mmap");
        exit(1);
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN), running = 0;
    for (size_t i = 0; i < traces; i++, running++) {
        if (running >= cores) reap(), running--;
        pid_t pid = fork();
        if (pid < 0) {
            perror("eviction_sim: fork");
            exit(1);
        }
        if (pid > 0) continue;
        run_trace(trace_names[i], requests, capacity, &all[i * POLICIES]);
        _exit(0);
    }
    while (running-- > 0) reap();
    return all;
}

enum figure { HITS, BYTES, KEYS };

static double figure_of(const struct outcome *o, enum figure f) {
    return f == HITS ? o->hit_ratio : f == BYTES ? o->byte_hit_ratio : (double)o->keys;
}

static void print_table(const char *title, enum figure f, size_t traces, const struct outcome *all) {
    printf("\n%-14s", title);
    for (size_t i = 0; i < traces; i++) printf("%10s", trace_names[i]);
    for (size_t p = 0; p < POLICIES; p++) {
        printf("\n%-14s", policies[p]->name);
        for (size_t i = 0; i < traces; i++)
            printf(f == KEYS ? "%10.0f" : "%10.3f", figure_of(&all[i * POLICIES + p], f));
    }
    printf("\n");
}

static void write_plot(const char *folder, const char *file, const char *title, enum figure f, size_t traces,
                       const struct outcome *all) {
    const char *bars[POLICIES];
    double values[TRACES_MAX * POLICIES];
    char path[4096];
    for (size_t p = 0; p < POLICIES; p++) bars[p] = policies[p]->name;
    for (size_t i = 0; i < traces * POLICIES; i++) values[i] = figure_of(&all[i], f);
    snprintf(path, sizeof path, "%s/%s", folder, file);
    plot_write(&(struct plot){ title, traces, POLICIES, trace_names, bars, values }, path);
}

static size_t number(const char *text, size_t least) {
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && n >= least && n <= 100000000) return (size_t)n;
    fprintf(stderr, "eviction_sim: %s is not a number from %zu to 100000000\n", text, least);
    exit(2);
}

int main(int argc, char **argv) {
    size_t traces = trace_count();
    size_t requests = argc > 1 ? number(argv[1], 10000) : 2000000;
    size_t megabytes = argc > 2 ? number(argv[2], 1) : 30;
    if (argc > 4) {
        fprintf(stderr, "usage: eviction_sim [REQUESTS [MEGABYTES [FOLDER]]]\n");
        return 2;
    }
    printf("Simulated: %zu requests, a cache of %zu MB\n", requests, megabytes);
    fflush(stdout);
    const struct outcome *all = run_all(traces, requests, megabytes << 20);
    print_table("hits", HITS, traces, all);
    print_table("hits in bytes", BYTES, traces, all);
    print_table("keys inside", KEYS, traces, all);
    if (argc < 4) return 0;
    write_plot(argv[3], "eviction-hits.svg", "Share of requests that were hits", HITS, traces, all);
    write_plot(argv[3], "eviction-bytes.svg", "Share of bytes that were hits", BYTES, traces, all);
    return 0;
}
