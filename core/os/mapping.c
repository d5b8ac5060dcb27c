/* SPDX-License-Identifier: Apache-2.0 */
/* mapping.c — read-only maps of immutable files, and the table of what is mapped.
 *
 * WHAT        mapping_open checks the length, maps, and puts the range into a process-wide table;
 *             mapping_find looks an address up there without a lock.
 * LAYOUT      slot i is free while its start is 0.  Slots below slot_end were used at least once;
 *             the rest of the table was never touched and costs no memory.
 * INVARIANTS  (1) A range is entered after it is mapped and left before it is unmapped, so every
 *                 slot with a start names memory that is ours.
 *             (2) A slot's size is written before its start; its start is cleared before the slot
 *                 is used again.
 * THREADS     Changes hold a mutex.  mapping_find takes none: it reads start, size, start again.
 *             If both starts are equal, the size belongs to this start, or to another life of the
 *             slot with the same start; by (1) either range was wholly ours at a moment when the
 *             caller's own mapping stood, so it cannot overlap that one by mistake.
 * FAILURE     A full table answers LIMIT and leaves nothing mapped.
 */
#include "os/mapping.h"

#include "base/atomic.h"
#include "base/check.h"
#include "base/thread.h"

struct mapping_slot {
    _Atomic uintptr_t start; /* 0: free */
    _Atomic uintptr_t size;
};

_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2, "mapping_find runs in signal handlers");

static struct mutex table_mutex = {PTHREAD_MUTEX_INITIALIZER};
static struct mapping_slot slots[MAPPING_SLOTS];
static _Atomic uint32_t slot_end;
static uint32_t slot_hint; /* no free slot is below it; under table_mutex */
static _Atomic size_t mapped_count;

static int table_add(struct mapping *m, struct error *err)
{
    int rc = 0;
    mutex_lock(&table_mutex);
    uint32_t i = slot_hint;
    while (i < MAPPING_SLOTS && atomic_load_relaxed(&slots[i].start) != 0) i++;
    slot_hint = i;
    if (i == MAPPING_SLOTS) {
        rc = error_set(err, LYNSE_LIMIT, "%d files are mapped by this process, the limit",
                       MAPPING_SLOTS);
    } else {
        atomic_store_relaxed(&slots[i].size, m->size);
        /* Pairs with the acquiring load of start in mapping_find (2). */
        atomic_store_release(&slots[i].start, (uintptr_t)m->data);
        /* Pairs with the acquiring load of slot_end there. */
        if (i >= atomic_load_relaxed(&slot_end)) atomic_store_release(&slot_end, i + 1);
        (void)atomic_add_relaxed(&mapped_count, 1);
        m->slot = i;
    }
    mutex_unlock(&table_mutex);
    return rc;
}

static void table_remove(uint32_t slot)
{
    mutex_lock(&table_mutex);
    CHECK(atomic_load_relaxed(&slots[slot].start) != 0);
    /* Pairs with the second load of start in mapping_find (2). */
    atomic_store_release(&slots[slot].start, 0);
    (void)atomic_sub_relaxed(&mapped_count, 1);
    if (slot < slot_hint) slot_hint = slot;
    mutex_unlock(&table_mutex);
}

static int map_checked(struct mapping *m, struct vfs_file *f, const char *name,
                       uint64_t expected_size, struct error *err)
{
    uint64_t size;
    if (vfs_size(f, &size, err) != 0) return -1;
    if (size != expected_size)
        return error_set(err, LYNSE_CORRUPT, "'%s' has %llu bytes, %llu are expected", name,
                         (unsigned long long)size, (unsigned long long)expected_size);
    if (size > SIZE_MAX)
        return error_set(err, LYNSE_LIMIT, "'%s' has %llu bytes, too many for one map", name,
                         (unsigned long long)size);
    if (vfs_map(f, (size_t)size, &m->data, err) != 0) return -1;
    m->size = (size_t)size;
    if (size == 0 || table_add(m, err) == 0) return 0;
    vfs_unmap(f->fs, m->data, m->size);
    return -1;
}

int mapping_open(struct mapping *m, struct vfs_dir *dir, const char *name, uint64_t expected_size,
                 struct error *err)
{
    struct mapping next = {NULL, 0, dir->fs, MAPPING_SLOTS};
    struct vfs_file *f;
    if (vfs_open(dir, name, VFS_READ, &f, err) != 0) return -1;
    int rc = map_checked(&next, f, name, expected_size, err);
    (void)vfs_close(f, NULL); /* only read: nothing can be lost */
    if (rc == 0) *m = next;
    return rc;
}

void mapping_close(struct mapping *m)
{
    if (!m->data) return;
    if (m->slot != MAPPING_SLOTS) table_remove(m->slot);
    vfs_unmap(m->fs, m->data, m->size);
    *m = (struct mapping){0};
}

bool mapping_find(const void *address, struct mapping_range *out)
{
    uintptr_t at = (uintptr_t)address;
    uint32_t end = atomic_load_acquire(&slot_end);
    for (uint32_t i = 0; i < end; i++) {
        uintptr_t start = atomic_load_acquire(&slots[i].start);
        if (start == 0 || at < start) continue;
        uintptr_t size = atomic_load_acquire(&slots[i].size);
        if (at - start >= size) continue;
        if (atomic_load_acquire(&slots[i].start) != start) continue;
        *out = (struct mapping_range){(const void *)start, size};
        return true;
    }
    return false;
}

size_t mapping_count(void)
{
    return atomic_load_relaxed(&mapped_count);
}
