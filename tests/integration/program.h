/* program.h: runs a program to its end, and keeps its exit status and what it said. */
#ifndef TESTS_INTEGRATION_PROGRAM_H
#define TESTS_INTEGRATION_PROGRAM_H

#include "../harness/fail.h"
#include "../harness/text.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef HELP
#define HELP __attribute__((unused)) static
#endif
#define PROGRAM_PATIENCE_S 100

struct said {
    int status; /* the exit status, or 128 and the number of the signal that ended it */
    struct text out, err;
};

HELP int program_file(const char *contents) {
    int fd = memfd_create("test", MFD_CLOEXEC);
    if (fd < 0) HARNESS_FAIL("memfd_create: %s", strerror(errno));
    if (contents && (write(fd, contents, strlen(contents)) < 0 || lseek(fd, 0, SEEK_SET) != 0))
        HARNESS_FAIL("cannot write to a file in memory: %s", strerror(errno));
    return fd;
}

HELP void program_read(int fd, struct text *out) {
    text_append(out, "", 0);
    if (lseek(fd, 0, SEEK_SET) != 0) HARNESS_FAIL("lseek: %s", strerror(errno));
    for (ssize_t got = 1; got > 0;) {
        got = read(fd, text_reserve(out, 4096), 4096);
        if (got > 0) out->len += (size_t)got;
    }
    text_append(out, "", 0);
    close(fd);
}

/* argv[0] is the name that the program sees. Its own deadline is an alarm, which outlives exec. */
HELP pid_t program_begin(const char *program, const char *const *argv, int in, int out, int err) {
    pid_t pid = fork();
    if (pid < 0) HARNESS_FAIL("fork: %s", strerror(errno));
    if (pid > 0) return pid;
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    alarm(PROGRAM_PATIENCE_S);
    execvp(program, (char *const *)(uintptr_t)argv);
    _exit(127);
}

HELP int program_await(pid_t pid) {
    int status;
    if (waitpid(pid, &status, 0) != pid) HARNESS_FAIL("waitpid: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* `input` is its standard input. */
HELP struct said program_run(const char *program, const char *input, const char *const *argv) {
    struct said s = { 0 };
    int in = program_file(input), out = program_file(NULL), err = program_file(NULL);
    s.status = program_await(program_begin(program, argv, in, out, err));
    close(in);
    program_read(out, &s.out);
    program_read(err, &s.err);
    return s;
}

HELP void said_release(struct said *s) {
    text_release(&s->out);
    text_release(&s->err);
}

#endif
