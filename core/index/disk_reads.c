/* SPDX-License-Identifier: Apache-2.0 */
/* disk_reads.c — some queues of reads that searches borrow, and rings of what they wait for.
 *
 * WHAT        An advance of a search borrows a queue (os/read_queue.h), and gives it back with
 *             nothing in flight.  Where there is no file of one's own, or no queue left, a part is
 *             read through the image, and waited for.  What is around a part up to multiples of the
 *             alignment is read with it, so that the read may pass the page cache wherever the
 *             section begins.
 * INVARIANTS  (1) A queue that is idle has nothing in flight.
 *             (2) What reads go into is the search's own, so it bounds how many there are.
 *             (3) Parts come in the order in which they were asked for, whatever the disk does.
 * THREADS     The mutex is held for an exchange of pointers.
 * FAILURE     What the image or the file says.
 */
#include "index/disk_reads.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "os/vfs.h"

enum { QUEUE_BYTES = 8192 }; /* of one, the kernel's part included */

static int open_queues(struct disk_reads *r, struct error *err)
{
    r->memory_bytes += DISK_READS_QUEUES * QUEUE_BYTES;
    if (r->image->open_file(r->image, r->section, &r->file, &r->offset, err) != 0) {
        r->file = NULL;
        return -1;
    }
    while (r->count < DISK_READS_QUEUES) {
        if (read_queue_create(r->alloc, DISK_READS_FLIGHTS, &r->idle[r->count], err) != 0)
            return -1;
        r->count++;
    }
    return 0;
}

int disk_reads_create(struct alloc *a, const struct index_image *image,
                      const struct index_section *section, struct disk_reads **out,
                      struct error *err)
{
    struct disk_reads *r = (struct disk_reads *)mem_zalloc(a, MEM_SEGMENT, sizeof *r);

    if (!r) return error_no_memory(err, sizeof *r);
    r->alloc = a;
    r->image = image;
    r->section = section;
    r->memory_bytes = sizeof *r;
    mutex_init(&r->mutex);
    if (!section->data && image->open_file && open_queues(r, err) != 0) {
        disk_reads_destroy(r);
        return -1;
    }
    *out = r;
    return 0;
}

void disk_reads_destroy(struct disk_reads *r)
{
    if (!r) return;
    while (r->count > 0) read_queue_destroy(r->idle[--r->count]);
    if (r->file) (void)vfs_close(r->file, NULL); /* it was read alone */
    mutex_deinit(&r->mutex);
    mem_free(r->alloc, r);
}

int disk_reads_now(const struct disk_reads *r, uint64_t offset, size_t bytes, uint8_t *out,
                   struct error *err)
{
    const struct index_section *s = r->section;

    if (!s->data) return r->image->read_at(r->image, s, offset, bytes, out, err);
    memcpy(out, (const uint8_t *)s->data + offset, bytes);
    return 0;
}

/* ---- A ring ---- */

/* Up to one alignment before the part, and one behind it. */
static size_t flight_bytes(size_t part_bytes)
{
    return align_up(part_bytes, READ_DIRECT_ALIGN) + READ_DIRECT_ALIGN;
}

size_t disk_ring_bytes(size_t part_bytes, uint32_t most)
{
    return most * flight_bytes(part_bytes) + READ_DIRECT_ALIGN;
}

void disk_ring_init(struct disk_ring *g, struct disk_reads *reads, size_t part_bytes, uint32_t most,
                    void *memory)
{
    uint8_t *at = (uint8_t *)align_up((uintptr_t)memory, READ_DIRECT_ALIGN);

    *g = (struct disk_ring){.reads = reads, .most = most};
    for (uint32_t i = 0; i < most; i++, at += flight_bytes(part_bytes)) g->flights[i].memory = at;
}

static void submit(struct disk_ring *g, struct disk_flight *f)
{
    uint64_t from = g->reads->offset + f->offset;
    size_t before = (size_t)(from % READ_DIRECT_ALIGN);
    size_t bytes = align_up(before + f->bytes, READ_DIRECT_ALIGN);

    f->data = f->memory + before;
    f->is_there = false;
    read_queue_submit(g->queue, g->reads->file, from - before, f->memory, bytes,
                      (uint64_t)(f - g->flights));
}

void disk_ring_ask(struct disk_ring *g, const struct disk_flight *wanted, const uint8_t *data)
{
    const struct index_section *s = g->reads->section;
    struct disk_flight *f = &g->flights[(g->first + g->count++) % g->most];

    if (!data && s->data) data = (const uint8_t *)s->data + wanted->offset;
    f->number = wanted->number;
    f->of = wanted->of;
    f->offset = wanted->offset;
    f->bytes = wanted->bytes;
    f->code = f->os_errno = 0;
    f->data = data ? data : f->memory;
    f->is_there = true;
    f->is_late = !data && f->bytes > 0 && !g->queue;
    if (!data && f->bytes > 0 && g->queue) submit(g, f);
}

void disk_ring_begin(struct disk_ring *g)
{
    if (g->queue) read_queue_begin(g->queue);
}

/* Some that were on their way are there. */
static void take_some(struct disk_ring *g)
{
    struct read_done done[DISK_READS_FLIGHTS];
    size_t count = read_queue_take(g->queue, done, DISK_READS_FLIGHTS, true);

    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct disk_flight *f = &g->flights[done[i].tag];
        size_t end = (size_t)(f->data - f->memory) + f->bytes;
        f->is_there = true;
        f->code = done[i].code;
        f->os_errno = done[i].os_errno;
        if (f->code == 0 && done[i].read_bytes < end) f->code = LYNSE_CORRUPT; /* it is cut */
    }
}

int disk_ring_first(struct disk_ring *g, const char *part, const char *kind,
                    const struct disk_flight **out, struct error *err)
{
    const struct disk_flight *f = &g->flights[g->first];

    CHECK(g->count > 0);
    while (!f->is_there) take_some(g);
    *out = f;
    if (f->is_late) return disk_reads_now(g->reads, f->offset, f->bytes, f->memory, err);
    if (f->code == 0) return 0;
    if (f->code == LYNSE_CORRUPT)
        return error_set(err, LYNSE_CORRUPT, "%s %u of the %s index is cut", part, f->number, kind);
    return error_set_errno(err, f->code, f->os_errno, "cannot read %s %u of the %s index", part,
                           f->number, kind);
}

void disk_ring_drop(struct disk_ring *g)
{
    g->first = (g->first + 1) % g->most;
    g->count--;
}

void disk_ring_rest(struct disk_ring *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        while (!g->flights[(g->first + i) % g->most].is_there) take_some(g);
}

void disk_ring_attach(struct disk_ring *g)
{
    struct disk_reads *r = g->reads;

    mutex_lock(&r->mutex);
    g->queue = r->count > 0 ? r->idle[--r->count] : NULL;
    mutex_unlock(&r->mutex);
}

void disk_ring_detach(struct disk_ring *g)
{
    struct disk_reads *r = g->reads;

    if (!g->queue) return;
    disk_ring_rest(g);
    mutex_lock(&r->mutex);
    r->idle[r->count++] = g->queue;
    mutex_unlock(&r->mutex);
    g->queue = NULL;
}
