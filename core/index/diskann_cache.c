/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_cache.c — pages that stay in memory, and reads of the others.
 *
 * WHAT        The first pages are read when the index is opened, as many as its memory allows.  For
 *             the others it has some queues (os/read_queue.h): an advance of a search borrows one,
 *             and gives it back with nothing in flight.  Where there is no file of one's own, or no
 *             queue left, a page is read through the image, and waited for.
 * INVARIANTS  (1) A page is used only after it was checked: its hash, its number, its links.
 *             (2) A queue that is idle has nothing in flight.
 *             (3) What reads go into is the search's own, so it bounds how many there are.
 * THREADS     Any; the mutex is held for an exchange of pointers.
 * FAILURE     CORRUPT with the page; what the image or the file says.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/planted.h"
#include "index/diskann.h"
#include "os/vfs.h"

enum {
    SEARCHES = 2,       /* that the memory is to suffice for */
    QUEUE_BYTES = 8192, /* of one, the kernel's part included */
    HOT_SHARE = 32      /* of the pages one in so many is hot where memory has no bound */
};

int diskann_page_check(const struct diskann *d, uint32_t page, const uint8_t *bytes,
                       struct error *err)
{
    const struct diskann_layout *l = &d->layout;
    const struct diskann_page *head = (const struct diskann_page *)(const void *)bytes;
    uint32_t count = diskann_page_count(l, page), highest = 0;
    size_t hashed = sizeof head->hash;

    if (head->hash != hash_xxh3_64(bytes + hashed, l->page_bytes - hashed))
        return error_set(err, LYNSE_CORRUPT, "page %u of the diskann index is damaged", page);
    if (head->number != page || head->node_count != count)
        return error_set(err, LYNSE_CORRUPT,
                         "page %u of the diskann index is page %u of %u nodes, not of %u", page,
                         head->number, head->node_count, count);
    for (uint32_t place = 0; place < count; place++) {
        const uint32_t *links = diskann_links(l, bytes, place);
        for (uint32_t i = 0; i < l->degree; i++) {
            uint32_t link = links[i] != HNSW_NONE ? links[i] : 0;
            highest = link > highest ? link : highest;
        }
    }
    if (highest < l->row_count + PLANTED(DISKANN_LINK_END)) return 0;
    return error_set(err, LYNSE_CORRUPT, "page %u of the diskann index links to node %u of %u",
                     page, highest, l->row_count);
}

int diskann_page_read(const struct diskann *d, uint32_t page, uint8_t *out, struct error *err)
{
    const struct index_section *s = d->pages;
    size_t bytes = d->layout.page_bytes;
    uint64_t offset = (uint64_t)page * bytes;

    if (!s->data) return d->image->read_at(d->image, s, offset, bytes, out, err);
    memcpy(out, (const uint8_t *)s->data + offset, bytes);
    return 0;
}

/* ---- Queues ---- */

struct read_queue *diskann_take_queue(const struct diskann *d)
{
    struct diskann_queues *q = d->queues;
    struct read_queue *out = NULL;

    if (!q) return NULL;
    mutex_lock(&q->mutex);
    if (q->count > 0) out = q->idle[--q->count];
    mutex_unlock(&q->mutex);
    return out;
}

void diskann_give_queue(const struct diskann *d, struct read_queue *queue)
{
    struct diskann_queues *q = d->queues;

    if (!queue) return;
    mutex_lock(&q->mutex);
    q->idle[q->count++] = queue;
    mutex_unlock(&q->mutex);
}

/* What is around the page up to multiples of the alignment is read with it, so that the read may
 * pass the page cache wherever the section begins. */
size_t diskann_page_submit(const struct diskann *d, struct read_queue *queue, uint32_t page,
                           uint8_t *out, uint64_t tag)
{
    uint64_t from = d->queues->offset + (uint64_t)page * d->layout.page_bytes;
    size_t before = (size_t)(from % DISKANN_PAGE_ALIGN);
    size_t bytes = align_up(before + d->layout.page_bytes, DISKANN_PAGE_ALIGN);

    read_queue_submit(queue, d->queues->file, from - before, out, bytes, tag);
    return before;
}

static int open_queues(struct diskann *d, struct error *err)
{
    struct diskann_queues *q =
        (struct diskann_queues *)mem_zalloc(d->alloc, MEM_SEGMENT, sizeof *q);

    if (!q) return error_no_memory(err, sizeof *q);
    mutex_init(&q->mutex);
    d->queues = q;
    d->base.memory_bytes += sizeof *q + DISKANN_QUEUES * QUEUE_BYTES;
    if (d->image->open_file(d->image, d->pages, &q->file, &q->offset, err) != 0) {
        q->file = NULL;
        return -1;
    }
    while (q->count < DISKANN_QUEUES) {
        if (read_queue_create(d->alloc, DISKANN_FLIGHTS, &q->idle[q->count], err) != 0) return -1;
        q->count++;
    }
    return 0;
}

/* ---- Hot pages ---- */

/* Bytes of sections that are in memory. */
static size_t section_bytes(const struct diskann *d)
{
    size_t bytes = 0;

    for (size_t i = 0; i < d->image->section_count; i++)
        if (&d->image->sections[i] != d->pages) bytes += (size_t)d->image->sections[i].bytes;
    return bytes;
}

static uint32_t hot_pages(const struct diskann *d)
{
    static const struct index_options none = {0};
    const struct diskann_layout *l = &d->layout;
    size_t most = diskann_memory_max(d->head->memory, l->row_count);
    size_t used = section_bytes(d) + d->base.memory_bytes +
                  SEARCHES * diskann_search_bytes(&d->base, &none, 1, 1);

    if (d->head->memory == 0) return l->page_count / HOT_SHARE;
    if (used >= most) return 0;
    size_t pages = (most - used) / l->page_bytes;
    return pages < l->page_count ? (uint32_t)pages : l->page_count;
}

static int read_hot(struct diskann *d, struct error *err)
{
    size_t page_bytes = d->layout.page_bytes;
    uint32_t count = hot_pages(d);

    if (count == 0) return 0;
    d->hot = (uint8_t *)mem_alloc_aligned(d->alloc, MEM_CACHE, count * page_bytes, ALIGN_VECTOR);
    if (!d->hot) return error_no_memory(err, count * page_bytes);
    d->base.memory_bytes += count * page_bytes;
    for (; d->hot_count < count; d->hot_count++) {
        uint8_t *page = d->hot + d->hot_count * page_bytes;
        if (diskann_page_read(d, d->hot_count, page, err) != 0 ||
            diskann_page_check(d, d->hot_count, page, err) != 0)
            return -1;
    }
    return 0;
}

int diskann_cache_open(struct diskann *d, struct error *err)
{
    if (!d->pages->data && d->image->open_file && open_queues(d, err) != 0) return -1;
    return read_hot(d, err);
}

void diskann_cache_close(struct diskann *d)
{
    struct diskann_queues *q = d->queues;

    mem_free(d->alloc, d->hot);
    if (!q) return;
    while (q->count > 0) read_queue_destroy(q->idle[--q->count]);
    (void)vfs_close(q->file, NULL); /* it was read alone */
    mutex_deinit(&q->mutex);
    mem_free(d->alloc, q);
}
