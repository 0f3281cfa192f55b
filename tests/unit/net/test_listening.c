/* Listening sockets are kept where old and new settings name the same address; a failure changes nothing. */
#include "fixture.h"
#include "net/listening.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static void set(const char *name, const char *value) {
    struct buf error = { 0 };
    struct slice pair[2] = { slice_of(name), slice_of(value) };
    options_hooks.rebind = NULL; /* only the settings; the sockets are this test's */
    if (!options_set(pair, 1, (struct options_caller){ 0 }, &error))
        fail_msg("%s %s: %.*s", name, value, SLICE_ARG(buf_slice(&error)));
}

static void close_list(struct listener_list *list) {
    for (size_t i = 0; i < list->count; i++) close(list->at[i].fd);
    list->count = 0;
}

/* A port that nobody has at the moment. */
static void choose_port(void) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char text[16];
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    snprintf(text, sizeof text, "%d", ntohs(address.sin_port));
    set("port", text);
}

static void open_list(const struct listener_list *old, struct listener_list *out) {
    struct buf error = { 0 };
    if (!listening_open_tcp(old, out, &error)) fail_msg("%.*s", SLICE_ARG(buf_slice(&error)));
}

static void assert_fails(const struct listener_list *old, const char *why) {
    struct buf error = { 0 };
    struct listener_list out = { 0 };
    assert_false(listening_open_tcp(old, &out, &error));
    assert_int_equal(out.count, 0);
    buf_append_byte(&error, '\0');
    if (!strstr(error.ptr, why)) fail_msg("no '%s' in '%s'", why, error.ptr);
    buf_release(&error);
}

static bool is_listening(int fd) {
    int value = 0;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value;
}

static void sockets_of_both_settings_are_kept(void **state) {
    (void)state;
    struct listener_list none = { 0 }, first = { 0 }, second = { 0 };
    choose_port();
    set("bind", "127.0.0.1 127.0.0.2");
    open_list(&none, &first);
    assert_int_equal(first.count, 2);
    set("bind", "127.0.0.3 127.0.0.2 127.0.0.3");
    open_list(&first, &second);
    assert_int_equal(second.count, 2);
    assert_true(listening_has(&second, first.at[1].fd));
    assert_false(listening_has(&second, first.at[0].fd));
    assert_true(is_listening(first.at[0].fd));
    close(second.at[0].fd);
    close_list(&first);
}

static void an_address_may_replace_the_wildcard_that_covers_it(void **state) {
    (void)state;
    struct listener_list none = { 0 }, wide = { 0 }, narrow = { 0 }, again = { 0 };
    choose_port();
    set("bind", "*");
    open_list(&none, &wide);
    set("bind", "127.0.0.1");
    open_list(&wide, &narrow);
    assert_int_not_equal(narrow.at[0].fd, wide.at[0].fd);
    close_list(&wide);
    set("bind", "*");
    open_list(&narrow, &again);
    close_list(&narrow);
    assert_true(is_listening(again.at[0].fd));
    close_list(&again);
}

static void a_failure_leaves_the_old_sockets_alone(void **state) {
    (void)state;
    struct listener_list none = { 0 }, old = { 0 };
    choose_port();
    set("bind", "127.0.0.1");
    open_list(&none, &old);
    assert_fails(&none, "Address already in use"); /* for a stranger it is taken */
    set("bind", "127.0.0.1 127.0.0.2 203.0.113.9");
    assert_fails(&old, "Could not create server TCP listening socket 203.0.113.9");
    set("bind", "127.0.0.1 *");
    assert_fails(&old, "Address already in use");
    set("bind", "127.0.0.1 no.such.host.invalid");
    assert_fails(&old, "Could not resolve");
    set("bind", "-203.0.113.9");
    assert_fails(&old, "None of the addresses");
    assert_true(is_listening(old.at[0].fd));
    close_list(&old);
}

static void port_0_and_an_empty_list_open_nothing(void **state) {
    (void)state;
    struct listener_list none = { 0 }, out = { 0 };
    set("bind", "127.0.0.1");
    set("port", "0");
    open_list(&none, &out);
    assert_int_equal(out.count, 0);
    choose_port();
    set("bind", "");
    open_list(&none, &out);
    assert_int_equal(out.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_of_both_settings_are_kept),
        cmocka_unit_test(an_address_may_replace_the_wildcard_that_covers_it),
        cmocka_unit_test(a_failure_leaves_the_old_sockets_alone),
        cmocka_unit_test(port_0_and_an_empty_list_open_nothing),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
