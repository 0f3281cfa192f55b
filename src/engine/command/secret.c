/* secret.c: see secret.h. */
#include "trivet/engine/command/secret.h"
#include "trivet/engine/settings/options.h"

static bool is_command(const struct command *command, const char *full_name) {
    return strcmp(command->full_name, full_name) == 0;
}

/* HELLO version AUTH user password: the two after AUTH. */
static bool is_hello_secret(const struct slice *argv, size_t index) {
    for (size_t back = 1; back <= 2; back++)
        if (index >= 2 + back && slice_equal_nocase(argv[index - back], LIT("AUTH"))) return true;
    return false;
}

/* CONFIG SET name value ...: the value of a sensitive setting. */
static bool is_setting_secret(const struct slice *argv, size_t index) {
    if (index < 3 || index % 2 == 0) return false;
    const struct option *o = options_find(argv[index - 1]);
    return o && (o->flags & OPTION_SENSITIVE);
}

/* MIGRATE host port key db timeout [COPY] [REPLACE] [AUTH password | AUTH2 user password] [KEYS ...]: if
 * it is given more than once, what is between is hidden too. */
void migrate_secrets(const struct slice *argv, size_t argc, size_t *from, size_t *to) {
    *from = *to = 0;
    for (size_t i = 6; i < argc && !slice_equal_nocase(argv[i], LIT("KEYS")); i++) {
        size_t count = 0;
        if (slice_equal_nocase(argv[i], LIT("AUTH"))) count = 1;
        if (slice_equal_nocase(argv[i], LIT("AUTH2"))) count = 2;
        if (count == 0) continue;
        if (*from == 0) *from = i + 1;
        i += count;
        *to = i + 1;
    }
}

static bool is_migrate_secret(const struct slice *argv, size_t argc, size_t index) {
    size_t from, to;
    migrate_secrets(argv, argc, &from, &to);
    return index >= from && index < to;
}

bool argument_is_secret(const struct command *command, const struct slice *argv, size_t argc, size_t index) {
    assert(index < argc);
    if (is_command(command, "auth")) return index >= 1;
    if (is_command(command, "hello")) return is_hello_secret(argv, index);
    if (is_command(command, "config|set")) return is_setting_secret(argv, index);
    if (is_command(command, "migrate")) return is_migrate_secret(argv, argc, index);
    return is_command(command, "acl|setuser") && index >= 2;
}
