/* SPDX-License-Identifier: Apache-2.0 */
/* memory_locks.h — byte-range locks of one file in memory, with the rules of OFD locks.
 *
 * Ranges are start..end-1.  An owner is any address, a handle; its own locks never overlap each
 * other.  No locking here: the file system's mutex covers the lists.
 */
#ifndef OS_MEMORY_LOCKS_H
#define OS_MEMORY_LOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

struct memory_lock {
    struct memory_lock *next;
    const void *owner;
    uint64_t start;
    uint64_t end;
    bool is_exclusive;
};

/* Would a lock by owner meet one of somebody else that excludes it? */
bool memory_locks_conflict(const struct memory_lock *list, const void *owner, uint64_t start,
                           uint64_t end, bool is_exclusive);
/* Replace what owner holds in the range.  false: out of memory, nothing changed. */
bool memory_locks_set(struct alloc *a, struct memory_lock **list, const void *owner, uint64_t start,
                      uint64_t end, bool is_exclusive);
/* The same, and never false when the range is one that was locked as a whole. */
bool memory_locks_clear(struct alloc *a, struct memory_lock **list, const void *owner,
                        uint64_t start, uint64_t end);
void memory_locks_drop(struct alloc *a, struct memory_lock **list, const void *owner);

#endif
