/* SPDX-License-Identifier: Apache-2.0 */
/* read_queue.c — reads over io_uring, by system calls of our own, or by the file's own read.
 *
 * WHAT        Every read has a slot, with all that is needed to do the rest of it: the kernel may
 *             read less than it was asked for anywhere, and a file that has no descriptor, or a
 *             kernel that refuses, is read at submit.  Such reads are done at once and are taken in
 *             the order of their slots.
 * LAYOUT      Two maps: the rings of submissions and completions in one (every kernel that is
 *             asked for here has IORING_FEAT_SINGLE_MMAP), and the submissions' entries.  The ring
 *             of the submissions has as many entries as there are slots, so it is never full.
 * INVARIANTS  (1) A slot is FREE, QUEUED (in the ring, not told to the kernel), FLYING (the
 *                 kernel's), or DONE (to be taken).
 *             (2) The kernel writes to no memory of a slot that is not FLYING: destroy waits.
 *             (3) Of a ring that is given up nothing but completions is asked for: the kernel puts
 *                 them there without being told.
 * THREADS     One; the kernel is the other party of the rings: their heads and tails are loaded
 *             with acquire and stored with release, as its documentation of the interface asks
 *             for.
 * FAILURE     A read's error is its own.  io_uring_enter that fails for good makes the queue read
 *             by itself from then on; what flies is waited for.
 */
#include "os/read_queue.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

enum { LOOK_AGAIN_MS = 10 }; /* at a ring that was given up, at the latest */

enum slot_state { SLOT_FREE, SLOT_QUEUED, SLOT_FLYING, SLOT_DONE };

struct read_slot {
    enum slot_state state;
    struct vfs_file *file;
    uint64_t offset;
    uint8_t *data;
    size_t size;
    struct read_done done;
};

struct uring {
    int fd; /* -1: there is none */
    void *rings, *entries;
    size_t rings_bytes, entries_bytes;
    uint32_t *sq_tail, *sq_array, sq_mask;
    uint32_t *cq_head, *cq_tail, cq_mask;
    const struct io_uring_cqe *cqes;
    struct io_uring_sqe *sqes;
    bool is_given_up; /* io_uring_enter failed for good */
};

struct read_queue {
    struct alloc *alloc;
    struct uring uring;
    uint32_t depth, used;          /* slots that are not FREE */
    uint32_t queued, flying, done; /* of these */
    uint32_t next;                 /* where a free slot is looked for first */
    struct read_slot slots[];
};

/* ---- The rings ---- */

static uint32_t load_acquire(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store_release(uint32_t *p, uint32_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static void *map_ring(int fd, size_t bytes, off_t offset)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

    if (at == MAP_FAILED) return NULL;
    (void)madvise(at, bytes, MADV_DONTFORK); /* a child has no business with them */
    return at;
}

static void close_uring(struct uring *u)
{
    if (u->entries) (void)munmap(u->entries, u->entries_bytes);
    if (u->rings) (void)munmap(u->rings, u->rings_bytes);
    if (u->fd >= 0) (void)close(u->fd);
    *u = (struct uring){.fd = -1};
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static bool map_rings(struct uring *u, const struct io_uring_params *p)
{
    u->rings_bytes = larger(p->sq_off.array + p->sq_entries * sizeof(uint32_t),
                            p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe));
    u->entries_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    u->rings = map_ring(u->fd, u->rings_bytes, IORING_OFF_SQ_RING);
    u->entries = map_ring(u->fd, u->entries_bytes, (off_t)IORING_OFF_SQES);
    return u->rings && u->entries;
}

/* -1: the kernel refuses, or is too old. */
static int open_uring(struct uring *u, uint32_t depth)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CLAMP};

    *u = (struct uring){.fd = (int)syscall(SYS_io_uring_setup, depth, &p)};
    if (u->fd < 0) return -1;
    if (!(p.features & IORING_FEAT_SINGLE_MMAP) || p.sq_entries < depth || !map_rings(u, &p)) {
        close_uring(u);
        return -1;
    }
    uint8_t *rings = (uint8_t *)u->rings;
    u->sq_tail = (uint32_t *)(void *)(rings + p.sq_off.tail);
    u->sq_array = (uint32_t *)(void *)(rings + p.sq_off.array);
    u->sq_mask = *(const uint32_t *)(const void *)(rings + p.sq_off.ring_mask);
    u->cq_head = (uint32_t *)(void *)(rings + p.cq_off.head);
    u->cq_tail = (uint32_t *)(void *)(rings + p.cq_off.tail);
    u->cq_mask = *(const uint32_t *)(const void *)(rings + p.cq_off.ring_mask);
    u->cqes = (const struct io_uring_cqe *)(const void *)(rings + p.cq_off.cqes);
    u->sqes = (struct io_uring_sqe *)u->entries;
    return 0;
}

/* ---- Slots ---- */

static void finish(struct read_queue *q, struct read_slot *s, size_t read_bytes,
                   const struct error *err)
{
    s->state = SLOT_DONE;
    s->done.read_bytes = read_bytes;
    s->done.code = err->code;
    s->done.os_errno = err->os_errno;
    q->done++;
}

/* What is left of it, by the file's own read: all, after a short read, or where nobody else does.
 */
static void read_rest(struct read_queue *q, struct read_slot *s, size_t before)
{
    struct error err = {0};
    size_t more = 0;

    if (vfs_read(s->file, s->offset + before, s->data + before, s->size - before, &more, &err) != 0)
        more = 0;
    finish(q, s, before + more, &err);
}

static void read_queued(struct read_queue *q)
{
    for (uint32_t i = 0; i < q->depth && q->queued > 0; i++) {
        if (q->slots[i].state != SLOT_QUEUED) continue;
        q->queued--;
        read_rest(q, &q->slots[i], 0);
    }
}

/* The kernel has taken `count` of the oldest queued; which they are does not matter: those that it
 * has not taken stay in the ring, in order, and all slots become FLYING in the same order. */
static void set_flying(struct read_queue *q, uint32_t count)
{
    uint32_t tail = *q->uring.sq_tail;

    for (uint32_t at = tail - q->queued; count > 0; at++, count--) {
        q->slots[q->uring.sqes[at & q->uring.sq_mask].user_data].state = SLOT_FLYING;
        q->queued--;
        q->flying++;
    }
}

/* The queue reads by itself from now on; what flies still comes by the ring. */
static void give_up(struct read_queue *q)
{
    uint32_t tail = *q->uring.sq_tail;

    q->uring.is_given_up = true;
    store_release(q->uring.sq_tail, tail - q->queued);
    read_queued(q);
}

/* Tell the kernel of what is queued, and wait for min_done completions.  false: interrupted or
 * busy, which the next call may not be. */
static bool enter(struct read_queue *q, uint32_t min_done)
{
    struct pollfd done = {.fd = q->uring.fd, .events = POLLIN};
    unsigned flags = min_done > 0 ? IORING_ENTER_GETEVENTS : 0;

    if (q->uring.is_given_up) { /* (3) */
        if (min_done > 0) (void)poll(&done, 1, LOOK_AGAIN_MS);
        return false;
    }
    long taken = syscall(SYS_io_uring_enter, q->uring.fd, q->queued, min_done, flags, NULL, 0);

    if (taken >= 0) {
        set_flying(q, (uint32_t)taken);
        return true;
    }
    if (errno != EINTR && errno != EAGAIN && errno != EBUSY) give_up(q);
    return false;
}

/* Is a short read short because the file is?  Past the page cache the rest of a page that the file
 * does not fill could not even be asked for. */
static bool ends_there(const struct read_slot *s, size_t read_bytes)
{
    uint64_t size;

    return vfs_size(s->file, &size, NULL) == 0 && s->offset + read_bytes >= size;
}

static void complete(struct read_queue *q, const struct io_uring_cqe *c)
{
    struct read_slot *s = &q->slots[c->user_data];
    struct error err = {0};

    CHECK(c->user_data < q->depth && s->state == SLOT_FLYING);
    q->flying--;
    if (c->res < 0 && (c->res == -EAGAIN || c->res == -EINTR || c->res == -EOPNOTSUPP)) {
        read_rest(q, s, 0);
    } else if (c->res < 0) {
        (void)error_set_errno(&err, vfs_code_of_errno(-c->res), -c->res, "cannot read");
        finish(q, s, 0, &err);
    } else if ((size_t)c->res < s->size && !ends_there(s, (size_t)c->res)) {
        read_rest(q, s, (size_t)c->res);
    } else {
        finish(q, s, (size_t)c->res, &err);
    }
}

static void reap(struct read_queue *q)
{
    struct uring *u = &q->uring;

    if (u->fd < 0) return;
    uint32_t head = *u->cq_head, tail = load_acquire(u->cq_tail);
    for (; head != tail; head++) complete(q, &u->cqes[head & u->cq_mask]);
    store_release(u->cq_head, head);
}

/* ---- What is called ---- */

int read_queue_create(struct alloc *a, uint32_t depth, struct read_queue **out, struct error *err)
{
    CHECK(depth >= 1 && depth <= READ_QUEUE_MAX);
    size_t bytes = sizeof(struct read_queue) + depth * sizeof(struct read_slot);
    struct read_queue *q = (struct read_queue *)mem_zalloc(a, MEM_SEARCH, bytes);

    if (!q) return error_no_memory(err, bytes);
    q->alloc = a;
    q->depth = depth;
    if (open_uring(&q->uring, depth) != 0) q->uring.fd = -1;
    *out = q;
    return 0;
}

void read_queue_destroy(struct read_queue *q)
{
    if (!q) return;
    if (q->queued > 0) give_up(q);
    while (q->flying > 0) {
        (void)enter(q, 1);
        reap(q);
    }
    close_uring(&q->uring);
    mem_free(q->alloc, q);
}

bool read_queue_is_async(const struct read_queue *q)
{
    return q->uring.fd >= 0 && !q->uring.is_given_up;
}

uint32_t read_queue_room(const struct read_queue *q)
{
    return q->depth - q->used;
}

static uint32_t take_free_slot(struct read_queue *q)
{
    CHECK(q->used < q->depth);
    while (q->slots[q->next].state != SLOT_FREE) q->next = (q->next + 1) % q->depth;
    q->used++;
    return q->next;
}

static void enqueue(struct read_queue *q, uint32_t slot, int fd)
{
    const struct read_slot *s = &q->slots[slot];
    uint32_t tail = *q->uring.sq_tail, at = tail & q->uring.sq_mask;

    q->uring.sqes[at] = (struct io_uring_sqe){
        .opcode = IORING_OP_READ,
        .fd = fd,
        .off = s->offset,
        .addr = (uint64_t)(uintptr_t)s->data,
        .len = (uint32_t)s->size,
        .user_data = slot,
    };
    q->uring.sq_array[at] = at;
    store_release(q->uring.sq_tail, tail + 1);
}

void read_queue_submit(struct read_queue *q, struct vfs_file *f, uint64_t offset, void *data,
                       size_t size, uint64_t tag)
{
    uint32_t slot = take_free_slot(q);
    int fd = f->ops->file_descriptor ? f->ops->file_descriptor(f) : -1;

    q->slots[slot] = (struct read_slot){
        .state = SLOT_QUEUED,
        .file = f,
        .offset = offset,
        .data = (uint8_t *)data,
        .size = size,
        .done = {.tag = tag},
    };
    if (read_queue_is_async(q) && fd >= 0 && size <= INT32_MAX && size > 0) {
        q->queued++;
        enqueue(q, slot, fd);
    } else {
        read_rest(q, &q->slots[slot], 0);
    }
}

void read_queue_begin(struct read_queue *q)
{
    if (q->queued > 0) (void)enter(q, 0);
}

size_t read_queue_take(struct read_queue *q, struct read_done *out, size_t max, bool wait)
{
    size_t count = 0;

    read_queue_begin(q);
    reap(q);
    while (wait && q->done == 0 && q->flying + q->queued > 0) {
        (void)enter(q, 1);
        reap(q);
    }
    for (uint32_t i = 0; i < q->depth && count < max && q->done > 0; i++) {
        struct read_slot *s = &q->slots[i];
        if (s->state != SLOT_DONE) continue;
        out[count++] = s->done;
        s->state = SLOT_FREE;
        q->done--;
        q->used--;
    }
    return count;
}
