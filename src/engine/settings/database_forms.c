/* database_forms.c: the settings that single databases have: a list of numbers, each with its value. A file
 * has a line for each, "db-maxmemory 0 1gb"; CONFIG SET takes and CONFIG GET shows them in one text, "0 1gb 2
 * 512mb", which says all of it: what it does not name has the default. Of a number that is named twice, the
 * last value counts.
 *
 * How many databases there are is known only when all files are read: options_settle_databases() asks. */
#include "rows.h"

#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include <ctype.h>
#include <inttypes.h>

#define NAME_MAX_LEN 64

/* Reads one value; false with the reason. *is_default: the database is as if it was not named. */
typedef bool value_reader(struct slice text, struct database_value *out, bool *is_default, struct buf *why);

/* ---- lists ---- */

static void list_release(struct database_list *list) {
    for (size_t i = 0; i < list->count; i++) mem_free(list->value[i].text);
    mem_free(list->value);
    *list = (struct database_list){ 0 };
}

/* Where this number is, or belongs. */
static size_t place_of(const struct database_list *list, int64_t db) {
    size_t at = 0;
    while (at < list->count && list->value[at].db < db) at++;
    return at;
}

const struct database_value *database_value_of(const struct database_list *list, int64_t db) {
    size_t at = place_of(list, db);
    return at < list->count && list->value[at].db == db ? &list->value[at] : NULL;
}

/* There is room for one more. */
static void list_put(struct database_list *list, struct database_value v, bool is_default) {
    size_t at = place_of(list, v.db);
    struct database_value *place = &list->value[at];
    bool is_there = at < list->count && place->db == v.db;
    size_t after = (list->count - at - (is_there ? 1 : 0)) * sizeof v;
    if (is_there) mem_free(place->text);
    if (is_default) {
        if (!is_there) return;
        memmove(place, place + 1, after);
        list->count--;
        return;
    }
    if (!is_there) memmove(place + 1, place, after);
    *place = v;
    list->count += is_there ? 0 : 1;
}

static bool read_number(struct slice text, int64_t *db, struct buf *why) {
    if (int64_parse(text, db) && *db >= 0 && *db < INT32_MAX) return true;
    buf_printf(why, "'%.*s' is not the number of a database", SLICE_ARG(text));
    return false;
}

static bool list_set(struct database_list *list, value_reader *read, const struct slice *argv, size_t argc,
                     struct buf *why) {
    if (argc % 2 != 0) return option_refuse(why, "each database's number must have a value behind it");
    struct database_list fresh = { .value = mem_alloc(argc / 2 * sizeof *fresh.value) };
    bool good = true;
    for (size_t i = 0; good && i < argc; i += 2) {
        struct database_value v = { 0 };
        bool is_default = false;
        good = read_number(argv[i], &v.db, why) && read(argv[i + 1], &v, &is_default, why);
        if (good) list_put(&fresh, v, is_default);
    }
    if (!good) {
        list_release(&fresh);
        return false;
    }
    list_release(list);
    *list = fresh;
    return true;
}

/* ---- db-maxmemory ---- */

static bool read_bytes(struct slice text, struct database_value *out, bool *is_default, struct buf *why) {
    if (!memory_size_parse(text, &out->number)) return option_refuse(why, "argument must be a memory value");
    *is_default = out->number == 0;
    return true;
}

static bool db_maxmemory_set(const struct slice *argv, size_t argc, struct buf *why) {
    return list_set(&options.db_maxmemory, read_bytes, argv, argc, why);
}

static void db_maxmemory_get(struct buf *out) {
    const struct database_list *l = &options.db_maxmemory;
    for (size_t i = 0; i < l->count; i++)
        buf_printf(out, "%s%" PRId64 " %" PRIu64, i ? " " : "", l->value[i].db, l->value[i].number);
}

static void db_maxmemory_release(void) { list_release(&options.db_maxmemory); }

const struct option_special form_db_maxmemory = {
    .set = db_maxmemory_set, .get = db_maxmemory_get, .release = db_maxmemory_release, .words_per_line = 2
};

/* ---- db-maxmemory-policy ---- */

static bool read_policy(struct slice text, struct database_value *out, bool *is_default, struct buf *why) {
    (void)is_default; /* that of the instance may change */
    for (const struct option_name *n = option_policies; n->name; n++) {
        if (!slice_equal_nocase(text, slice_of(n->name))) continue;
        out->number = (uint64_t)n->value;
        return true;
    }
    buf_printf(why, "the policy must be one of the following: ");
    for (const struct option_name *n = option_policies; n->name; n++)
        buf_printf(why, "%s%s", n == option_policies ? "" : ", ", n->name);
    return false;
}

const char *option_policy_name(unsigned policy) {
    const struct option_name *n = option_policies;
    while (n->name && (unsigned)n->value != policy) n++;
    assert(n->name);
    return n->name;
}

static bool db_maxmemory_policy_set(const struct slice *argv, size_t argc, struct buf *why) {
    return list_set(&options.db_maxmemory_policy, read_policy, argv, argc, why);
}

static void db_maxmemory_policy_get(struct buf *out) {
    const struct database_list *l = &options.db_maxmemory_policy;
    for (size_t i = 0; i < l->count; i++)
        buf_printf(out, "%s%" PRId64 " %s", i ? " " : "", l->value[i].db,
                   option_policy_name((unsigned)l->value[i].number));
}

static void db_maxmemory_policy_release(void) { list_release(&options.db_maxmemory_policy); }

const struct option_special form_db_maxmemory_policy = { .set = db_maxmemory_policy_set,
                                                         .get = db_maxmemory_policy_get,
                                                         .release = db_maxmemory_policy_release,
                                                         .words_per_line = 2 };

/* ---- db-persistence ---- */

static bool read_persistence(struct slice text, struct database_value *out, bool *is_default,
                             struct buf *why) {
    out->number = 0;
    *is_default = slice_equal_nocase(text, LIT("yes"));
    return *is_default || slice_equal_nocase(text, LIT("no")) ||
           option_refuse(why, "argument must be 'yes' or 'no'");
}

static bool db_persistence_set(const struct slice *argv, size_t argc, struct buf *why) {
    return list_set(&options.db_persistence, read_persistence, argv, argc, why);
}

static void db_persistence_get(struct buf *out) {
    const struct database_list *l = &options.db_persistence;
    for (size_t i = 0; i < l->count; i++) buf_printf(out, "%s%" PRId64 " no", i ? " " : "", l->value[i].db);
}

static void db_persistence_release(void) { list_release(&options.db_persistence); }

const struct option_special form_db_persistence = { .set = db_persistence_set,
                                                    .get = db_persistence_get,
                                                    .release = db_persistence_release,
                                                    .words_per_line = 2 };

/* ---- db-name ---- */

/* So that it needs no quotes in INFO, in labels of metrics and in files. */
static bool read_name(struct slice text, struct database_value *out, bool *is_default, struct buf *why) {
    bool plain = text.len > 0 && text.len <= NAME_MAX_LEN;
    for (size_t i = 0; plain && i < text.len; i++)
        plain = isalnum((unsigned char)text.ptr[i]) || memchr("-_.", text.ptr[i], 3);
    if (!plain) return option_refuse(why, "a name is made of 1 to 64 letters, digits, '-', '_' and '.'");
    *is_default = false;
    out->text = slice_to_cstr(text);
    return true;
}

static bool db_name_set(const struct slice *argv, size_t argc, struct buf *why) {
    return list_set(&options.db_name, read_name, argv, argc, why);
}

static void db_name_get(struct buf *out) {
    const struct database_list *l = &options.db_name;
    for (size_t i = 0; i < l->count; i++)
        buf_printf(out, "%s%" PRId64 " %s", i ? " " : "", l->value[i].db, l->value[i].text);
}

static void db_name_release(void) { list_release(&options.db_name); }

const struct option_special form_db_name = {
    .set = db_name_set, .get = db_name_get, .release = db_name_release, .words_per_line = 2
};

/* ---- all of them ---- */

bool options_settle_databases(struct buf *why) {
    const struct {
        const char *name;
        const struct database_list *list;
    } all[] = {
        { "db-maxmemory", &options.db_maxmemory },
        { "db-maxmemory-policy", &options.db_maxmemory_policy },
        { "db-persistence", &options.db_persistence },
        { "db-name", &options.db_name },
    };
    int64_t databases = options.cluster_enabled ? options.cluster_databases : options.databases;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        const struct database_list *l = all[i].list;
        if (l->count == 0 || l->value[l->count - 1].db < databases) continue;
        buf_printf(why, "%s: there is no database %" PRId64 ", the last one is %" PRId64, all[i].name,
                   l->value[l->count - 1].db, databases - 1);
        return false;
    }
    return true;
}
