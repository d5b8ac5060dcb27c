/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "server/address_counts.h"

static uint64_t key_of(const char *text)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9)};
    const void *any = inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 ? (void *)&v6 : (void *)&v4;
    uint64_t key;

    if (any == &v4) assert_int_equal(inet_pton(AF_INET, text, &v4.sin_addr), 1);
    assert_true(address_key(any, &key));
    return key;
}

static void an_address_is_one_host(void **state)
{
    (void)state;
    assert_int_equal(key_of("10.1.2.3"), key_of("10.1.2.3"));
    assert_int_equal(key_of("10.1.2.3"), key_of("::ffff:10.1.2.3"));
    assert_int_not_equal(key_of("10.1.2.3"), key_of("10.1.2.4"));
    assert_int_not_equal(key_of("10.1.2.3"), key_of("3.2.1.10"));
    assert_int_equal(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:2:ffff::7"));
    assert_int_not_equal(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:3::1"));
    assert_int_not_equal(key_of("::1"), key_of("127.0.0.1"));
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    uint64_t key;
    assert_false(address_key((const struct sockaddr *)&path, &key));
}

static void addresses_are_counted_apart(void **state)
{
    (void)state;
    struct address_counts a;
    address_counts_open(&a);
    for (uint64_t i = 1; i <= 3; i++) assert_int_equal(address_counts_add(&a, 7), i);
    for (uint64_t key = 100; key < 400; key++) assert_int_equal(address_counts_add(&a, key), 1);
    address_counts_remove(&a, 7);
    assert_int_equal(address_counts_add(&a, 7), 3);
    for (uint64_t key = 100; key < 400; key++) address_counts_remove(&a, key);
    for (int i = 0; i < 3; i++) address_counts_remove(&a, 7);
    assert_int_equal(a.counts.count, 0);
    assert_int_equal(address_counts_add(&a, 7), 1);
    address_counts_close(&a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_address_is_one_host),
    cmocka_unit_test(addresses_are_counted_apart),
};
TEST_MAIN(tests)
