/* SPDX-License-Identifier: Apache-2.0 */
/* disk_reads.h — parts of a section that stays in the file: read while others are looked at, and
 * looked at in the order in which they were asked for.
 *
 * What the kinds that keep their vectors on the disk share (diskann.h, spann.h).  Nothing waits for
 * the slowest of a group, and yet what is asked for next depends on nothing but what was found.
 * Nobody has verified what is read: that is the kind's business.
 * OWNERSHIP  An opened index has one disk_reads; a search has a ring in memory of its own, and of
 *            the index, while it advances, a queue.
 * THREADS    disk_reads: any, once it is open; a ring: one at a time.
 */
#ifndef INDEX_DISK_READS_H
#define INDEX_DISK_READS_H

#include "base/thread.h"
#include "index/index_image.h"
#include "os/read_queue.h"

enum {
    DISK_READS_FLIGHTS = 24, /* of a ring, at most */
    DISK_READS_QUEUES = 4,   /* searches that read at once; others read one by one */
};

struct disk_reads {
    struct alloc *alloc;
    const struct index_image *image;
    const struct index_section *section;
    size_t memory_bytes;   /* its queues' included */
    struct vfs_file *file; /* NULL: there is none of one's own */
    uint64_t offset;       /* of the section in it */
    struct mutex mutex;
    uint32_t count; /* of queues that nobody has: */
    struct read_queue *idle[DISK_READS_QUEUES];
};

/* Image and section outlive it.  NO_MEMORY; what the image says. */
int disk_reads_create(struct alloc *a, const struct index_image *image,
                      const struct index_section *section, struct disk_reads **out,
                      struct error *err);
void disk_reads_destroy(struct disk_reads *r); /* NULL allowed */
/* Some bytes of the section, now. */
int disk_reads_now(const struct disk_reads *r, uint64_t offset, size_t bytes, uint8_t *out,
                   struct error *err);

/* A part on its way, or there. */
struct disk_flight {
    uint32_t number, of; /* the asker's own */
    uint64_t offset;     /* in the section */
    size_t bytes;
    bool is_there;      /* or nothing of it is on its way */
    bool is_late;       /* read when it is looked at */
    int code, os_errno; /* why it is not there */
    const uint8_t *data;
    uint8_t *memory; /* its own */
};

struct disk_ring {
    struct disk_reads *reads;
    struct read_queue *queue; /* of the advance; NULL: parts are read when they are looked at */
    uint32_t first, count, most;
    struct disk_flight flights[DISK_READS_FLIGHTS];
};

/* Memory of a ring for parts of so many bytes, wherever it begins; most: flights at once. */
size_t disk_ring_bytes(size_t part_bytes, uint32_t most);
void disk_ring_init(struct disk_ring *g, struct disk_reads *reads, size_t part_bytes, uint32_t most,
                    void *memory);
static inline bool disk_ring_has_room(const struct disk_ring *g)
{
    return g->count < g->most;
}
/* The next flight; there is room.  Its number, of, offset and bytes are set by then, the rest is
 * the ring's.  Of 0 bytes: it only waits for its turn.  data: where the part is in memory already;
 * NULL: it is read. */
void disk_ring_ask(struct disk_ring *g, const struct disk_flight *wanted, const uint8_t *data);
/* Let begin what was asked for. */
void disk_ring_begin(struct disk_ring *g);
/* The flight that was asked for first, once it is there; there is one.  IO, CORRUPT: the file ends
 * before it; the text says "`part` number of the `kind` index", or what the image says. */
int disk_ring_first(struct disk_ring *g, const char *part, const char *kind,
                    const struct disk_flight **out, struct error *err);
/* It was looked at: its memory is free. */
void disk_ring_drop(struct disk_ring *g);
/* Wait for what is in flight. */
void disk_ring_rest(struct disk_ring *g);
/* An advance begins: a queue, if there is one left; and ends: nothing is in flight. */
void disk_ring_attach(struct disk_ring *g);
void disk_ring_detach(struct disk_ring *g);

#endif
