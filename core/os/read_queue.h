/* SPDX-License-Identifier: Apache-2.0 */
/* read_queue.h — many reads at once, and each when it is there: io_uring where the kernel has it
 * and lets us, else one read after another.
 *
 * A search over a disk index keeps some reads in flight and works on whatever comes first.  One
 * queue belongs to one searcher; making one costs some system calls, so searchers keep theirs.
 * OWNERSHIP  The memory that a read goes into is the caller's, and the queue's from submit until
 *            the read is taken; the file stays open as long.
 * THREADS    One at a time, any; not a forked child.
 */
#ifndef OS_READ_QUEUE_H
#define OS_READ_QUEUE_H

#include "base/alloc.h"
#include "os/vfs.h"

/* Of a file that was opened with VFS_DIRECT: offset, size and memory of a read are multiples. */
enum { READ_DIRECT_ALIGN = 4096, READ_QUEUE_MAX = 256 };

struct read_done {
    uint64_t tag;      /* what submit was given */
    size_t read_bytes; /* fewer than asked for only at the end of the file */
    int code;          /* LYNSE_OK, or IO and the like */
    int os_errno;      /* why, with IO */
};

struct read_queue;

/* depth: reads in flight at most, 1 to READ_QUEUE_MAX.  NO_MEMORY.  The kernel's refusal is none:
 * the queue reads one after another then. */
int read_queue_create(struct alloc *a, uint32_t depth, struct read_queue **out, struct error *err);
/* Reads in flight are waited for.  NULL is allowed. */
void read_queue_destroy(struct read_queue *q);

bool read_queue_is_async(const struct read_queue *q);
uint32_t read_queue_room(const struct read_queue *q); /* submits that are allowed now */

/* There is room (checked).  It begins now or with the next read_queue_begin or _take.  A read that
 * cannot even begin is taken like one that failed. */
void read_queue_submit(struct read_queue *q, struct vfs_file *f, uint64_t offset, void *data,
                       size_t size, uint64_t tag);
/* Let begin what was submitted, without waiting: then do something else. */
void read_queue_begin(struct read_queue *q);
/* Reads that are done, up to `max` of them, in any order; with `wait` at least one where any is in
 * flight.  How many. */
size_t read_queue_take(struct read_queue *q, struct read_done *out, size_t max, bool wait);

#endif
