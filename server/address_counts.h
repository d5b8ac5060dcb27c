/* SPDX-License-Identifier: Apache-2.0 */
/* address_counts.h — how many connections each address has, over all loops.
 *
 * An address is one of IPv4 or, of IPv6, its first 64 bits: who has one of those usually has all
 * that begin so.  There are as many entries as addresses with a connection, and no others.
 * THREADS  Any; a lock inside, taken twice in the life of a connection.
 */
#ifndef SERVER_ADDRESS_COUNTS_H
#define SERVER_ADDRESS_COUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/hash_map.h"
#include "base/thread.h"

struct address_counts {
    struct mutex lock;
    struct int_map counts;
};

void address_counts_open(struct address_counts *a);
void address_counts_close(struct address_counts *a);
/* What an address is counted by; false: it is none of IP. */
bool address_key(const struct sockaddr *address, uint64_t *out);
/* One more: how many there are then, 0 where there is no memory to count it. */
uint64_t address_counts_add(struct address_counts *a, uint64_t key);
/* One that was counted goes. */
void address_counts_remove(struct address_counts *a, uint64_t key);

#endif
