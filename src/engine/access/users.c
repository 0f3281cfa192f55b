/* users.c: see users.h. There are few, so they are a sorted array. */
#include "trivet/engine/access/users.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"

struct user *user_default;

static struct user **users;
static size_t count, room;

size_t users_count(void) { return count; }

struct user *users_at(size_t index) {
    assert(index < count);
    return users[index];
}

/* Where it is, or would be. */
static size_t place_of(struct slice name) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (slice_compare(slice_of(users[middle]->name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(size_t place, struct slice name) {
    return place < count && slice_equal(slice_of(users[place]->name), name);
}

struct user *users_find(struct slice name) {
    size_t place = place_of(name);
    return is_at(place, name) ? users[place] : NULL;
}

struct user *users_put(struct user *u) {
    size_t place = place_of(slice_of(u->name));
    if (is_at(place, slice_of(u->name))) {
        struct user was = *users[place];
        *users[place] = *u;
        *u = was;
        user_free(u);
        return users[place];
    }
    GROW(users, count, &room, 8);
    memmove(users + place + 1, users + place, (count++ - place) * sizeof(struct user *));
    return users[place] = u;
}

void users_remove(struct user *u) {
    size_t place = place_of(slice_of(u->name));
    assert(u != user_default && place < count && users[place] == u);
    memmove(users + place, users + place + 1, (--count - place) * sizeof(struct user *));
}

/* ---- the default user ---- */

static struct user *new_default(void) {
    static const struct slice rules[] = { LIT_INIT("on"), LIT_INIT("nopass"), LIT_INIT("~*"), LIT_INIT("&*"),
                                          LIT_INIT("+@all") };
    struct user *u = user_new(LIT(USER_DEFAULT));
    struct buf error = { 0 };
    bool set = user_set_rules(u, rules, COUNT_OF(rules), "", &error);
    assert(set);
    return u;
}

void users_init(void) { user_default = users_put(new_default()); }

void users_release(void) {
    for (size_t i = 0; i < count; i++) user_free(users[i]);
    mem_free(users);
    users = NULL;
    user_default = NULL;
    count = room = 0;
}

void users_set_default_password(struct slice password) {
    user_forget_passwords(user_default);
    if (password.len > 0)
        user_add_password(user_default, password);
    else
        user_default->needs_no_password = true;
}

/* ---- lists of others ---- */

void user_list_release(struct user_list *list) {
    for (size_t i = 0; i < list->count; i++) user_free(list->at[i]);
    mem_free(list->at);
    *list = (struct user_list){ 0 };
}

void user_list_add(struct user_list *list, struct user *taken) {
    GROW(list->at, list->count, &list->room, 8);
    list->at[list->count++] = taken;
}

struct user *user_list_find(const struct user_list *list, struct slice name) {
    for (size_t i = 0; i < list->count; i++)
        if (slice_equal(slice_of(list->at[i]->name), name)) return list->at[i];
    return NULL;
}

void users_replace(struct user_list *list, struct slice requirepass, struct user_list *gone) {
    for (size_t i = count; i-- > 0;) {
        struct user *u = users[i];
        if (u == user_default || user_list_find(list, slice_of(u->name))) continue;
        users_remove(u);
        user_list_add(gone, u);
    }
    if (!user_list_find(list, LIT(USER_DEFAULT))) {
        users_put(new_default());
        users_set_default_password(requirepass);
    }
    for (size_t i = 0; i < list->count; i++) users_put(list->at[i]);
    list->count = 0;
    user_list_release(list);
}

bool users_default_is_plain(struct slice requirepass) {
    struct user *plain = new_default();
    if (requirepass.len > 0) user_add_password(plain, requirepass);
    struct buf is = { 0 }, would_be = { 0 };
    user_describe(user_default, &is);
    user_describe(plain, &would_be);
    bool same = slice_equal(buf_slice(&is), buf_slice(&would_be));
    buf_release(&is);
    buf_release(&would_be);
    user_free(plain);
    return same;
}

/* ---- logging in ---- */

struct user *users_authenticate(struct slice name, struct slice password) {
    uint8_t digest[SHA256_SIZE];
    sha256(password, digest);
    struct user *u = users_find(name);
    bool is_right = user_has_password(u ? u : user_default, digest);
    return u && u->is_on && (u->needs_no_password || is_right) ? u : NULL;
}
