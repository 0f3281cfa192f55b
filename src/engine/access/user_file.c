/* user_file.c: see user_file.h. */
#include "trivet/engine/access/user_file.h"
#include "selector.h"
#include "trivet/base/file.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include "trivet/engine/access/users.h"
#include "trivet/engine/settings/options.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the aclfile, read ---- */

/* One file being read. */
struct reading {
    const char *path;
    size_t line;
    struct user_list *users;
    struct buf *errors;
};

/* Every unknown command is named; of other errors only the first of a line, because the others may follow
 * from it. It may be about a password, so the rule itself is not repeated. */
static void apply_rules(struct reading *r, struct user *u, const struct rules *rules) {
    bool is_told = false;
    for (size_t i = 0; i < rules->count; i++) {
        const char *wrong = user_set(u, rules->at[i]);
        if (!wrong) continue;
        if (strcmp(wrong, RULE_UNKNOWN) == 0)
            buf_printf(r->errors, "%s:%zu: Error in applying operation '%.*s': %s. ", r->path, r->line,
                       SLICE_ARG(rules->at[i]), wrong);
        else if (!is_told)
            buf_printf(r->errors, "%s:%zu: %s. ", r->path, r->line, wrong);
        is_told |= strcmp(wrong, RULE_UNKNOWN) != 0;
    }
    user_compile(u);
}

static void read_user(struct reading *r, const struct slice *words, size_t count) {
    if (count < 2 || !slice_equal(words[0], LIT("user"))) {
        buf_printf(r->errors, "%s:%zu should start with user keyword followed by the username. ", r->path,
                   r->line);
        return;
    }
    if (!user_name_is_valid(words[1])) {
        buf_printf(r->errors, "%s:%zu: username '%.*s' contains invalid characters. ", r->path, r->line,
                   SLICE_ARG(words[1]));
        return;
    }
    if (user_list_find(r->users, words[1])) {
        buf_printf(r->errors, "WARNING: Duplicate user '%.*s' found on line %zu. ", SLICE_ARG(words[1]),
                   r->line);
        return;
    }
    struct rules rules;
    struct buf unmatched = { 0 };
    if (rules_join(words + 2, count - 2, &rules, &unmatched)) {
        struct user *u = user_new(words[1]);
        user_list_add(r->users, u);
        apply_rules(r, u, &rules);
        rules_release(&rules);
    } else {
        buf_printf(r->errors, "%s:%zu: Unmatched parenthesis in selector definition.", r->path, r->line);
    }
    buf_release(&unmatched);
}

static struct slice trim(struct slice s) {
    while (s.len > 0 && isspace((unsigned char)s.ptr[0])) s.ptr++, s.len--;
    while (s.len > 0 && isspace((unsigned char)s.ptr[s.len - 1])) s.len--;
    return s;
}

/* Words are what stands between blanks; there are no quotes. The second one, the name, may be empty. */
static void read_user_line(struct reading *r, struct slice line) {
    line = trim(line);
    if (line.len == 0 || line.ptr[0] == '#') return;
    struct slice *words = mem_alloc((line.len + 1) * sizeof *words);
    size_t count = 0;
    for (const char *at = line.ptr, *end = line.ptr + line.len; at <= end;) {
        const char *blank = at < end ? memchr(at, ' ', (size_t)(end - at)) : NULL;
        struct slice word = slice_between(at, blank ? blank : end);
        if (word.len > 0 || count == 1) words[count++] = word;
        at += word.len + 1;
    }
    read_user(r, words, count);
    mem_free(words);
}

static bool read_whole(const char *path, struct buf *text, struct buf *errors) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && file_read_all(fd, SIZE_MAX, text);
    if (!done) buf_printf(errors, "Error loading ACLs, opening file '%s': %s", path, file_errno_text(errno));
    if (fd >= 0) close(fd);
    return done;
}

bool user_file_read(const char *path, struct user_list *out, struct buf *errors) {
    struct buf text = { 0 };
    size_t before = errors->len;
    struct reading r = { .path = path, .users = out, .errors = errors };
    if (read_whole(path, &text, errors)) {
        for (const char *at = text.ptr, *end = text.ptr + text.len; at < end;) {
            const char *stop = memchr(at, '\n', (size_t)(end - at));
            if (!stop) stop = end;
            r.line++;
            read_user_line(&r, slice_between(at, stop));
            at = stop + 1;
        }
        if (errors->len > before)
            buf_append(errors, LIT("WARNING: ACL errors detected, no change to the previously active ACL "
                                   "rules was performed"));
    }
    buf_release(&text);
    if (errors->len > before) user_list_release(out);
    return errors->len == before;
}

/* ---- and written ---- */

static void describe_all(struct buf *out) {
    for (size_t i = 0; i < users_count(); i++) {
        user_describe_line(users_at(i), out);
        buf_append_byte(out, '\n');
    }
}

/* Its owner keeps the rights that the file has; a new one is for the server's user alone. */
bool user_file_write(const char *path) {
    struct buf text = { 0 }, temporary = { 0 };
    struct stat was;
    describe_all(&text);
    buf_printf(&temporary, "%s.%d-%08x.tmp", path, (int)getpid(), (unsigned)(random_u64() & UINT32_MAX));
    mode_t rights = stat(path, &was) == 0 ? was.st_mode & 0777 : 0600;
    bool written = file_replace(path, buf_cstr(&temporary), buf_slice(&text), rights, NULL);
    int reason = errno;
    buf_release(&text);
    buf_release(&temporary);
    errno = reason;
    return written;
}

/* ---- lines of the configuration ---- */

static struct user_list from_lines; /* until they are the server's */

static bool refuse_line(struct buf *why, struct slice name, const char *reason) {
    buf_printf(why, "Error in user declaration '%.*s': %s", SLICE_ARG(name), reason);
    return false;
}

/* The error goes to a log: without the password. */
static struct slice rule_shown(struct slice rule) {
    return rule.len > 0 && rule.ptr[0] == '<' ? LIT("<(redacted)") : rule;
}

static bool set_rules(struct user *u, const struct rules *rules, struct buf *why) {
    for (size_t i = 0; i < rules->count; i++) {
        const char *wrong = user_set(u, rules->at[i]);
        if (!wrong) continue;
        buf_printf(why, "Error loading ACL rule '%.*s' for the user named '%s': %s",
                   SLICE_ARG(rule_shown(rules->at[i])), u->name, wrong);
        return false;
    }
    user_compile(u);
    return true;
}

bool user_lines_add(const struct slice *words, size_t count, struct buf *why) {
    struct rules rules;
    assert(count > 0);
    if (!user_name_is_valid(words[0]))
        return refuse_line(why, words[0], "Usernames can't contain spaces or null characters");
    if (user_list_find(&from_lines, words[0]))
        return refuse_line(why, words[0],
                           "Duplicate user found. A user can only be defined once in config files");
    if (!rules_join(words + 1, count - 1, &rules, why)) return false;
    struct user *u = user_new(words[0]);
    bool set = set_rules(u, &rules, why);
    if (set)
        user_list_add(&from_lines, u);
    else
        user_free(u);
    rules_release(&rules);
    return set;
}

void user_lines_release(void) { user_list_release(&from_lines); }

/* ---- at start-up, and for the next one ---- */

static bool read_users(struct user_list *out, struct buf *error) {
    if (options.aclfile[0] && from_lines.count > 0) {
        buf_append(error,
                   LIT("Configuring Trivet with users defined in the configuration file and at the same "
                       "setting an ACL file path is invalid. Define the users in one of them: either in the "
                       "ACL file, or by 'user' lines in the configuration file."));
        return false;
    }
    if (!options.aclfile[0]) {
        *out = from_lines;
        from_lines = (struct user_list){ 0 };
        return true;
    }
    struct buf wrong = { 0 };
    bool read = user_file_read(options.aclfile, out, &wrong);
    if (!read)
        buf_printf(error, "Aborting Trivet startup because of ACL errors: %.*s",
                   SLICE_ARG(buf_slice(&wrong)));
    buf_release(&wrong);
    return read;
}

static void tell_of_disabled(const struct user_list *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!list->at[i]->is_on)
            LOG_NOTICE("The user '%s' is disabled (there is no 'on' modifier in the user description). Make "
                       "sure this is not a configuration error.",
                       list->at[i]->name);
}

bool users_load(struct buf *error) {
    struct user_list list = { 0 }, gone = { 0 };
    if (!read_users(&list, error)) return false;
    tell_of_disabled(&list);
    if (options.password[0] && user_list_find(&list, LIT(USER_DEFAULT)))
        LOG_WARNING("requirepass is ignored: the user 'default' is defined %s",
                    options.aclfile[0] ? "in the ACL file" : "by a 'user' line");
    users_replace(&list, slice_of(options.password), &gone);
    assert(gone.count == 0);
    return true;
}

void user_lines_each(void (*visit)(void *arg, struct slice name, struct slice rules), void *arg) {
    if (options.aclfile[0]) return;
    if (users_count() == 1 && users_default_is_plain(slice_of(options.password))) return;
    for (size_t i = 0; i < users_count(); i++) {
        struct buf rules = { 0 };
        user_describe(users_at(i), &rules);
        visit(arg, slice_of(users_at(i)->name), buf_slice(&rules));
        buf_release(&rules);
    }
}
