/* server_hooks.c: the hooks' home, and the facts of this process. */
#include "trivet/engine/process/server_hooks.h"
#include "trivet/base/clock.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include <link.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct server_hooks server_hooks;
struct server_facts server_facts;
struct loading_progress loading_progress;

#define BUILD_ID_BYTES 8

/* The note of the linker (-Wl,--build-id) in this program, which is the first of the loaded objects. */
static int read_build_id(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size, (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_NOTE) continue;
        const char *at = (const char *)(info->dlpi_addr + segment->p_vaddr), *end = at + segment->p_memsz;
        while (end - at > (ptrdiff_t)sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const void *)at;
            const char *bytes = at + sizeof *note + (note->n_namesz + 3u) / 4 * 4;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz >= BUILD_ID_BYTES) {
                for (int b = 0; b < BUILD_ID_BYTES; b++)
                    snprintf(server_facts.build_id + 2 * b, 3, "%02x", (unsigned char)bytes[b]);
                return 1;
            }
            at = bytes + (note->n_descsz + 3u) / 4 * 4;
        }
    }
    return 1;
}

void server_facts_init(void) {
    memset(server_facts.build_id, '0', 2 * BUILD_ID_BYTES);
    dl_iterate_phdr(read_build_id, NULL);
    random_hex(server_facts.run_id, 40);
    server_facts.started_ms = clock_wall_ms();
    server_facts.started_steady_us = clock_steady_us();
    ssize_t len = readlink("/proc/self/exe", server_facts.executable, sizeof server_facts.executable - 1);
    server_facts.executable[len > 0 ? len : 0] = '\0';
}

void server_facts_ready(void) {
    assert(server_facts.started_ms > 0);
    server_facts.startup_memory = mem_used_exact();
}

void loading_note(void *arg, uint64_t loaded, uint64_t total) {
    (void)arg;
    atomic_store_explicit(&loading_progress.total, total, memory_order_relaxed);
    atomic_store_explicit(&loading_progress.loaded, loaded, memory_order_relaxed);
}

void loading_note_keys(uint64_t loaded, uint64_t expired) {
    atomic_store_explicit(&loading_progress.last_keys_loaded, loaded, memory_order_relaxed);
    atomic_store_explicit(&loading_progress.last_keys_expired, expired, memory_order_relaxed);
}

void loading_begin(int64_t now_s) {
    assert(now_s > 0);
    loading_note(NULL, 0, 0);
    atomic_store_explicit(&loading_progress.started_s, now_s, memory_order_relaxed);
}

void loading_end(void) { atomic_store_explicit(&loading_progress.started_s, 0, memory_order_relaxed); }

bool loading_is_under_way(void) {
    return atomic_load_explicit(&loading_progress.started_s, memory_order_relaxed) != 0;
}
