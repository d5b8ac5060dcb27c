/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.c — blocks with a header, counted by tag and held under a budget.
 *
 * WHAT        Every block of the library comes from here.  The memory itself comes from the
 *             caller's hooks; or, without hooks, small blocks from libc, large ones from mmap, the
 *             largest of them on huge pages: a batch of 50 MB is 25 page faults instead of 12,500.
 *             A large block that is freed is the system's again at once, whichever thread frees
 *             it: a malloc with a heap for each thread would keep what a search made until the
 *             same thread happens to allocate, so that a pool gone idle holds all of its answers.
 *             But a few stay as spares, for fresh pages cost more than a copy into used ones.
 * LAYOUT      what the system gave          the caller's pointer
 *             |  padding  | block_header 16 |  bytes ...
 *             |<------- offset ------------>|
 *             offset is 16 for a plain block, the alignment for an aligned one, and one page for
 *             one on huge pages, so that the 2 MiB boundary falls on the caller's pointer and only
 *             a small page is spent on the header.
 * INVARIANTS  (1) used_bytes is the sum of offset + bytes over the live blocks, plus what calls in
 *                 progress have charged; the live blocks alone never exceed the budget.
 *             (2) A charge precedes the system's allocation and is undone when that fails.
 *             (3) header.guard is GUARD_LIVE exactly while the block is live.
 * THREADS     Any.  The counters are independent numbers that publish nothing: relaxed would do for
 *             all of them, and no access has a partner.
 * FAILURE     NULL, and nothing has changed.  A thread that is refused may for a moment hold back
 *             bytes that another could have had: the other is refused too, which is a spurious
 *             NO_MEMORY at the edge of the budget but never an overrun of it.
 */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/poison.h"

enum {
    HEADER_BYTES = 16,
    HUGE_PAGE_BYTES = 2 << 20,
    LARGE_BYTES = 512 << 10, /* so much work goes into filling it that page faults do not show */
    PLAIN_HUGE_BYTES = 2 * HUGE_PAGE_BYTES, /* of blocks that need no alignment */
    GUARD_LIVE = 0x4C79,
    GUARD_FREED = 0xDEAD,
};

struct block_header {
    uint64_t bytes;  /* from the caller's pointer on */
    uint32_t offset; /* from what the system gave to the caller's pointer */
    uint16_t guard;
    uint8_t tag;    /* enum mem_tag */
    uint8_t origin; /* enum origin */
};
_Static_assert(sizeof(struct block_header) == HEADER_BYTES, "the header keeps 16-byte alignment");

/* The highest bit of `countdown`: every allocation after the one that fails is to fail as well. */
#define COUNTDOWN_STICKY (1ull << 63)

/* Blocks with pages of their own have 1, 2 or 4 MiB; so many of each are kept when they are freed,
 * 12 MiB in all. */
enum { PAGES_CLASSES = 3, SPARES_MAX = 4 };
static const uint8_t spare_counts[PAGES_CLASSES] = {4, 2, 1};

struct alloc {
    struct alloc_hooks hooks; /* alloc == NULL: libc */
    size_t budget_bytes;      /* 0: none */
    _Atomic(size_t) used_bytes;
    _Atomic(size_t) tag_bytes[MEM_TAG_COUNT];
    _Atomic(uint64_t) count;
    _Atomic(uint64_t) countdown; /* 0: off; 1: the next allocation fails */
    _Atomic(void *) spares[PAGES_CLASSES][SPARES_MAX];
};

static struct alloc process_alloc; /* zero: libc, no budget */

struct alloc *alloc_libc(void)
{
    return &process_alloc;
}

/* ---- Where the memory comes from ---- */

static void *libc_alloc(size_t bytes, size_t align, bool zero)
{
    if (align <= HEADER_BYTES) return zero ? calloc(1, bytes) : malloc(bytes);
    void *block = NULL;
    if (posix_memalign(&block, align, bytes) != 0) return NULL;
    if (zero) memset(block, 0, bytes);
    return block;
}

static void *system_alloc(const struct alloc *a, size_t bytes, size_t align, bool zero)
{
    if (!a->hooks.alloc) return libc_alloc(bytes, align, zero);
    void *block = a->hooks.alloc(a->hooks.ctx, bytes, align);
    if (block && zero) memset(block, 0, bytes);
    return block;
}

static void system_free(const struct alloc *a, void *block, size_t bytes)
{
    if (a->hooks.alloc) a->hooks.free(a->hooks.ctx, block, bytes);
    else free(block);
}

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static uint8_t *map_pages(size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return base == MAP_FAILED ? NULL : (uint8_t *)base;
}

/* Returns the start of the header page; the block follows it on a 2 MiB boundary. */
static void *map_huge_pages(size_t bytes)
{
    size_t page = page_bytes();
    size_t kept = page + align_up(bytes, page);
    size_t mapped = kept + HUGE_PAGE_BYTES;
    uint8_t *base = map_pages(mapped);
    if (!base) return NULL;

    size_t to_boundary = align_up((uintptr_t)base + page, HUGE_PAGE_BYTES) - (uintptr_t)base;
    size_t before = to_boundary - page;
    size_t after = mapped - before - kept;
    /* Cutting the ends off a mapping splits nothing, so it cannot fail for want of memory. */
    if (before) munmap(base, before);
    if (after) munmap(base + before + kept, after);
    uint8_t *block = base + to_boundary;
    /* Advice: a kernel without huge pages refuses, and small pages do as well. */
    (void)madvise(block, kept - page, MADV_HUGEPAGE);
    poison(block + bytes, kept - page - bytes);
    return block - page;
}

enum origin { FROM_MALLOC, FROM_PAGES, FROM_HUGE_PAGES };

/* Where the sanitizer watches, blocks stay libc's, whose red zones are wider. */
static enum origin origin_of(const struct alloc *a, size_t bytes, size_t align)
{
    if (a->hooks.alloc) return FROM_MALLOC;
    if (align > HEADER_BYTES && bytes >= HUGE_PAGE_BYTES) return FROM_HUGE_PAGES;
    if (POISON_IS_ON || bytes < LARGE_BYTES) return FROM_MALLOC;
    return bytes >= PLAIN_HUGE_BYTES ? FROM_HUGE_PAGES : FROM_PAGES;
}

static void unmap_huge_pages(void *base, size_t offset, size_t bytes)
{
    size_t length = offset + align_up(bytes, page_bytes());
    unpoison(base, length);
    CHECK(munmap(base, length) == 0);
}

/* ---- Blocks with pages of their own ---- */

static unsigned pages_class(size_t bytes)
{
    unsigned size_class = 0;
    while (bytes > (size_t)1 << (20 + size_class)) size_class++;
    return size_class;
}

/* With a page for what is before the caller's pointer. */
static size_t pages_length(unsigned size_class)
{
    return ((size_t)1 << (20 + size_class)) + page_bytes();
}

static void *take_pages(struct alloc *a, size_t bytes, bool zero)
{
    unsigned size_class = pages_class(bytes);

    for (unsigned i = 0; i < spare_counts[size_class]; i++) {
        /* Pairs with give_pages: what the freeing thread wrote is before what we write. */
        void *spare = atomic_swap_acq_rel(&a->spares[size_class][i], NULL);
        if (!spare) continue;
        if (zero) memset(spare, 0, pages_length(size_class));
        return spare;
    }
    return map_pages(pages_length(size_class));
}

static void give_pages(struct alloc *a, void *base, size_t bytes)
{
    unsigned size_class = pages_class(bytes);

    for (unsigned i = 0; i < spare_counts[size_class]; i++) {
        void *none = NULL;
        if (atomic_cas_acq_rel(&a->spares[size_class][i], &none, base)) return;
    }
    CHECK(munmap(base, pages_length(size_class)) == 0);
}

static void drop_spares(struct alloc *a)
{
    for (unsigned i = 0; i < PAGES_CLASSES * SPARES_MAX; i++) {
        void *spare = atomic_swap_acq_rel(&a->spares[i / SPARES_MAX][i % SPARES_MAX], NULL);
        if (spare) CHECK(munmap(spare, pages_length(i / SPARES_MAX)) == 0);
    }
}

/* ---- Accounting ---- */

/* Count one attempt; true when the test countdown says that it fails. */
static bool countdown_hits(struct alloc *a)
{
    atomic_add_relaxed(&a->count, 1);
    uint64_t old = atomic_load_relaxed(&a->countdown);
    while (old != 0) {
        uint64_t left = old & ~COUNTDOWN_STICKY;
        uint64_t next = left > 1 ? old - 1 : (old & COUNTDOWN_STICKY) ? old : 0;
        if (atomic_cas_acq_rel(&a->countdown, &old, next)) return left == 1;
    }
    return false;
}

/* Add, look, undo: two threads cannot both take the last bytes (1). */
static bool charge(struct alloc *a, size_t bytes)
{
    if (a->budget_bytes != 0 && bytes > a->budget_bytes) return false;
    size_t used = atomic_add_relaxed(&a->used_bytes, bytes) + bytes;
    if (a->budget_bytes == 0 || used <= a->budget_bytes) return true;
    atomic_sub_relaxed(&a->used_bytes, bytes);
    return false;
}

static struct block_header *header_of(const void *block)
{
    struct block_header *h = (struct block_header *)((uintptr_t)block - HEADER_BYTES);
    CHECK(h->guard == GUARD_LIVE); /* (3) */
    return h;
}

static size_t charged_bytes(const struct block_header *h)
{
    return h->offset + (size_t)h->bytes;
}

/* ---- Blocks ---- */

static void *allocate(struct alloc *a, enum mem_tag tag, size_t bytes, size_t align, bool zero)
{
    CHECK((unsigned)tag < MEM_TAG_COUNT);
    enum origin origin = origin_of(a, bytes, align);
    size_t offset = origin == FROM_HUGE_PAGES ? page_bytes() : align;
    size_t total = 0;
    if (countdown_hits(a)) return NULL;
    /* Half of the address space leaves room for every rounding below. */
    if (!size_add(bytes, offset, &total) || total > PTRDIFF_MAX / 2) return NULL;
    if (!charge(a, total)) return NULL;

    uint8_t *base = (uint8_t *)(origin == FROM_HUGE_PAGES ? map_huge_pages(bytes)
                                : origin == FROM_PAGES    ? take_pages(a, bytes, zero)
                                                          : system_alloc(a, total, align, zero));
    if (!base) {
        atomic_sub_relaxed(&a->used_bytes, total); /* (2) */
        return NULL;
    }
    atomic_add_relaxed(&a->tag_bytes[tag], total);
    struct block_header h = {bytes, (uint32_t)offset, GUARD_LIVE, (uint8_t)tag, (uint8_t)origin};
    memcpy(base + offset - HEADER_BYTES, &h, sizeof h);
    return base + offset;
}

void *mem_alloc(struct alloc *a, enum mem_tag tag, size_t bytes)
{
    return allocate(a, tag, bytes, HEADER_BYTES, false);
}

void *mem_zalloc(struct alloc *a, enum mem_tag tag, size_t bytes)
{
    return allocate(a, tag, bytes, HEADER_BYTES, true);
}

void *mem_alloc_aligned(struct alloc *a, enum mem_tag tag, size_t bytes, size_t align)
{
    CHECK(align >= 64 && align <= 4096 && (align & (align - 1)) == 0);
    return allocate(a, tag, bytes, align, false);
}

/* Where nothing moves a block, old and new live side by side for a moment, in the budget too. */
static void *resize_by_copy(struct alloc *a, enum mem_tag tag, void *block, size_t bytes)
{
    void *fresh = mem_alloc(a, tag, bytes);
    if (!fresh) return NULL;
    size_t old_bytes = (size_t)header_of(block)->bytes;
    memcpy(fresh, block, old_bytes < bytes ? old_bytes : bytes);
    mem_free(a, block);
    return fresh;
}

void *mem_resize(struct alloc *a, enum mem_tag tag, void *block, size_t bytes)
{
    if (!block) return mem_alloc(a, tag, bytes);
    CHECK((unsigned)tag < MEM_TAG_COUNT);
    struct block_header *h = header_of(block);
    CHECK(h->offset == HEADER_BYTES || h->origin == FROM_HUGE_PAGES);
    if (a->hooks.alloc || h->origin != FROM_MALLOC ||
        origin_of(a, bytes, HEADER_BYTES) != FROM_MALLOC)
        return resize_by_copy(a, tag, block, bytes);

    if (countdown_hits(a) || bytes > PTRDIFF_MAX / 2 - HEADER_BYTES) return NULL;
    uint8_t old_tag = h->tag;
    size_t old_total = charged_bytes(h);
    size_t new_total = bytes + HEADER_BYTES;
    size_t growth = new_total > old_total ? new_total - old_total : 0;
    if (growth && !charge(a, growth)) return NULL;

    struct block_header *moved = (struct block_header *)realloc(h, new_total);
    if (!moved) {
        atomic_sub_relaxed(&a->used_bytes, growth); /* (2) */
        return NULL;
    }
    if (new_total < old_total) atomic_sub_relaxed(&a->used_bytes, old_total - new_total);
    atomic_sub_relaxed(&a->tag_bytes[old_tag], old_total);
    atomic_add_relaxed(&a->tag_bytes[tag], new_total);
    moved->bytes = bytes;
    moved->tag = (uint8_t)tag;
    return (uint8_t *)moved + HEADER_BYTES;
}

void mem_free(struct alloc *a, void *block)
{
    if (!block) return;
    struct block_header *header = header_of(block);
    struct block_header h = *header;
    size_t total = charged_bytes(&h);
    void *base = (uint8_t *)block - h.offset;
    header->guard = GUARD_FREED; /* (3) */
    if (h.origin == FROM_HUGE_PAGES) unmap_huge_pages(base, h.offset, (size_t)h.bytes);
    else if (h.origin == FROM_PAGES) give_pages(a, base, (size_t)h.bytes);
    else system_free(a, base, total);
    atomic_sub_relaxed(&a->tag_bytes[h.tag], total);
    atomic_sub_relaxed(&a->used_bytes, total);
}

char *mem_copy_text(struct alloc *a, enum mem_tag tag, const char *bytes, size_t count)
{
    if (count == SIZE_MAX) return NULL;
    char *copy = (char *)mem_alloc(a, tag, count + 1);
    if (!copy) return NULL;
    if (count) memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}

/* ---- The allocator ---- */

struct alloc *alloc_create(const struct alloc_hooks *hooks, size_t budget_bytes)
{
    struct alloc draft = {.budget_bytes = budget_bytes};
    /* One half of a pair is of no use: memory must go back to where it came from. */
    if (hooks && hooks->alloc && hooks->free) draft.hooks = *hooks;
    struct alloc *a = (struct alloc *)system_alloc(&draft, sizeof *a, HEADER_BYTES, true);
    if (!a) return NULL;
    a->hooks = draft.hooks;
    a->budget_bytes = budget_bytes;
    return a;
}

void alloc_destroy(struct alloc *a)
{
    if (!a) return;
    CHECK_SLOW(atomic_load_relaxed(&a->used_bytes) == 0);
    drop_spares(a);
    system_free(a, a, sizeof *a);
}

size_t alloc_used_bytes(const struct alloc *a)
{
    return atomic_load_relaxed(&a->used_bytes);
}

size_t alloc_tag_bytes(const struct alloc *a, enum mem_tag tag)
{
    CHECK((unsigned)tag < MEM_TAG_COUNT);
    return atomic_load_relaxed(&a->tag_bytes[tag]);
}

size_t alloc_budget_bytes(const struct alloc *a)
{
    return a->budget_bytes;
}

void alloc_fail_after(struct alloc *a, uint64_t n, bool sticky)
{
    atomic_store_relaxed(&a->countdown, n != 0 && sticky ? n | COUNTDOWN_STICKY : n);
}

uint64_t alloc_count(const struct alloc *a)
{
    return atomic_load_relaxed(&a->count);
}
