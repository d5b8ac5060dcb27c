/* SPDX-License-Identifier: Apache-2.0 */
/* diskann_cache.c — pages that stay in memory, and reads of the others.
 *
 * WHAT        The first pages are read when the index is opened, as many as its memory allows; the
 *             others when they are wanted (disk_reads.h).
 * INVARIANTS  (1) A page is used only after it was checked: its hash, its number, its links.
 * THREADS     Any.
 * FAILURE     CORRUPT with the page; what the image or the file says.
 */
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/planted.h"
#include "index/diskann.h"

enum {
    SEARCHES = 2, /* that the memory is to suffice for */
};

/* Is each link a node, or HNSW_NONE?  Without a branch, and with nothing that needs more than the
 * oldest vectors: there are thousands in a page. */
static bool are_nodes(const uint32_t *links, uint32_t degree, uint32_t row_count)
{
    uint32_t end = row_count + PLANTED(DISKANN_LINK_END), wrong = 0;

    /* One more than a link is 0 to end, which is far from the highest bit. */
    for (uint32_t i = 0; i < degree; i++) wrong |= (links[i] + 1) | (end - (links[i] + 1));
    return wrong >> 31 == 0;
}

int diskann_page_check(const struct diskann *d, uint32_t page, const uint8_t *bytes,
                       struct error *err)
{
    const struct diskann_layout *l = &d->layout;
    const struct diskann_page *head = (const struct diskann_page *)(const void *)bytes;
    uint32_t count = diskann_page_count(l, page);
    size_t hashed = sizeof head->hash;

    if (head->hash != hash_xxh3_64(bytes + hashed, l->page_bytes - hashed))
        return error_set(err, LYNSE_CORRUPT, "page %u of the diskann index is damaged", page);
    if (head->number != page || head->node_count != count)
        return error_set(err, LYNSE_CORRUPT,
                         "page %u of the diskann index is page %u of %u nodes, not of %u", page,
                         head->number, head->node_count, count);
    for (uint32_t place = 0; place < count; place++)
        if (!are_nodes(diskann_links(l, bytes, place), l->degree, l->row_count))
            return error_set(err, LYNSE_CORRUPT,
                             "page %u of the diskann index links to no node of %u", page,
                             l->row_count);
    return 0;
}

int diskann_page_read(const struct diskann *d, uint32_t page, uint8_t *out, struct error *err)
{
    size_t bytes = d->layout.page_bytes;
    return disk_reads_now(d->reads, page * (uint64_t)bytes, bytes, out, err);
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

    if (d->head->memory == 0) return l->page_count / DISKANN_HOT_SHARE;
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
    if (disk_reads_create(d->alloc, d->image, d->pages, &d->reads, err) != 0) return -1;
    d->base.memory_bytes += d->reads->memory_bytes;
    return read_hot(d, err);
}

void diskann_cache_close(struct diskann *d)
{
    mem_free(d->alloc, d->hot);
    disk_reads_destroy(d->reads);
}
