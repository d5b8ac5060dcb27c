/* SPDX-License-Identifier: Apache-2.0 */
#include "os/memory_locks.h"

#include <stddef.h>

static bool overlaps(const struct memory_lock *lock, uint64_t start, uint64_t end)
{
    return lock->start < end && start < lock->end;
}

bool memory_locks_conflict(const struct memory_lock *list, const void *owner, uint64_t start,
                           uint64_t end, bool is_exclusive)
{
    for (const struct memory_lock *lock = list; lock; lock = lock->next) {
        if (lock->owner == owner || !overlaps(lock, start, end)) continue;
        if (is_exclusive || lock->is_exclusive) return true;
    }
    return false;
}

/* Cut the range out of owner's locks.  spare takes the second piece of a lock that holds more on
 * both sides, which then is the only one that overlaps; NULL when there is none such. */
static void cut_range(struct alloc *a, struct memory_lock **list, const void *owner, uint64_t start,
                      uint64_t end, struct memory_lock *spare)
{
    struct memory_lock **link = list;
    while (*link) {
        struct memory_lock *lock = *link;
        if (lock->owner != owner || !overlaps(lock, start, end)) {
            link = &lock->next;
            continue;
        }
        bool keeps_left = lock->start < start;
        bool keeps_right = lock->end > end;
        if (keeps_left && keeps_right) {
            *spare = *lock;
            spare->start = end;
            lock->next = spare;
            lock->end = start;
            return;
        }
        if (keeps_left) lock->end = start;
        if (keeps_right) lock->start = end;
        if (keeps_left || keeps_right) {
            link = &lock->next;
        } else {
            *link = lock->next;
            mem_free(a, lock);
        }
    }
}

bool memory_locks_set(struct alloc *a, struct memory_lock **list, const void *owner, uint64_t start,
                      uint64_t end, bool is_exclusive)
{
    struct memory_lock *added = mem_alloc(a, MEM_GENERAL, sizeof *added);
    if (!added) return false;
    if (!memory_locks_clear(a, list, owner, start, end)) {
        mem_free(a, added);
        return false;
    }
    *added = (struct memory_lock){*list, owner, start, end, is_exclusive};
    *list = added;
    return true;
}

/* Does one lock of owner's hold more on both sides of the range? */
static bool is_split_by(const struct memory_lock *list, const void *owner, uint64_t start,
                        uint64_t end)
{
    for (const struct memory_lock *lock = list; lock; lock = lock->next)
        if (lock->owner == owner && lock->start < start && lock->end > end) return true;
    return false;
}

bool memory_locks_clear(struct alloc *a, struct memory_lock **list, const void *owner,
                        uint64_t start, uint64_t end)
{
    struct memory_lock *spare = NULL;
    if (is_split_by(*list, owner, start, end)) {
        spare = mem_alloc(a, MEM_GENERAL, sizeof *spare);
        if (!spare) return false;
    }
    cut_range(a, list, owner, start, end, spare);
    return true;
}

void memory_locks_drop(struct alloc *a, struct memory_lock **list, const void *owner)
{
    struct memory_lock **link = list;
    while (*link) {
        struct memory_lock *lock = *link;
        if (lock->owner != owner) {
            link = &lock->next;
            continue;
        }
        *link = lock->next;
        mem_free(a, lock);
    }
}
