/* SPDX-License-Identifier: Apache-2.0 */
#include "server/address_counts.h"

#include <netinet/in.h>
#include <string.h>

#include "base/check.h"

void address_counts_open(struct address_counts *a)
{
    mutex_init(&a->lock);
    int_map_init(&a->counts, alloc_libc(), MEM_GENERAL);
}

void address_counts_close(struct address_counts *a)
{
    int_map_deinit(&a->counts);
    mutex_deinit(&a->lock);
}

/* IPv4 stands where ::ffff:0:0 would have it if it were a prefix, which no network of IPv6 is. */
static uint64_t key_of_ipv4(const void *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return 0xffffull << 32 | ntohl(number);
}

bool address_key(const struct sockaddr *address, uint64_t *out)
{
    const void *any = address;
    const struct sockaddr_in *v4 = any;
    const struct sockaddr_in6 *v6 = any;

    if (address->sa_family == AF_INET) {
        *out = key_of_ipv4(&v4->sin_addr);
        return true;
    }
    if (address->sa_family != AF_INET6) return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) *out = key_of_ipv4(v6->sin6_addr.s6_addr + 12);
    else
        for (size_t i = *out = 0; i < 8; i++) *out = *out << 8 | v6->sin6_addr.s6_addr[i];
    return true;
}

uint64_t address_counts_add(struct address_counts *a, uint64_t key)
{
    uint64_t count = 0;

    mutex_lock(&a->lock);
    int_map_get(&a->counts, key, &count);
    count++;
    if (int_map_put(&a->counts, key, count) != 0) count = 0;
    mutex_unlock(&a->lock);
    return count;
}

void address_counts_remove(struct address_counts *a, uint64_t key)
{
    uint64_t count = 0;

    mutex_lock(&a->lock);
    CHECK(int_map_get(&a->counts, key, &count) && count > 0);
    if (count == 1) int_map_remove(&a->counts, key);
    else int_map_put(&a->counts, key, count - 1); /* which is there: no memory is taken */
    mutex_unlock(&a->lock);
}
