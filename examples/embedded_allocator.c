/* SPDX-License-Identifier: Apache-2.0 */
/* embedded_allocator.c — a host that owns every byte: its allocator, a budget, and what happens at
 * the limit.
 *
 * All memory of one root comes through the two functions below.  Beyond memory_budget_bytes, or
 * when the host's function gives NULL, a call answers NO_MEMORY, nothing of it is applied, and all
 * that was there goes on working.  After lynse_close every block is back.
 */
#define _POSIX_C_SOURCE 200809L /* for -std=c11 */
#include <lynse.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIM = 128, ROWS = 1000, BUDGET_MIB = 24 };

/* In inline mode every call comes from the host's thread; with threads this would need a lock. */
struct heap {
    size_t used_bytes;
    size_t used_bytes_max;
    unsigned long block_count;
};

static void *heap_alloc(void *ctx, size_t bytes, size_t align)
{
    struct heap *h = ctx;
    void *block = NULL;

    if (posix_memalign(&block, align, bytes) != 0) return NULL;
    h->block_count++;
    h->used_bytes += bytes;
    if (h->used_bytes > h->used_bytes_max) h->used_bytes_max = h->used_bytes;
    return block;
}

static void heap_free(void *ctx, void *block, size_t bytes)
{
    struct heap *h = ctx;

    h->block_count--;
    h->used_bytes -= bytes;
    free(block);
}

/* Add ROWS rows at a time until an add is refused. */
static int fill(struct lynse_collection *c, struct lynse_error *err)
{
    static float vectors[ROWS][DIM];
    struct lynse_rows rows = {.dim = DIM, .count = ROWS, .vectors = *vectors};
    int code;

    do {
        for (int i = 0; i < ROWS; i++) vectors[i][i % DIM] += 1;
        code = lynse_add(c, &rows, NULL, NULL, err);
    } while (code == LYNSE_OK);
    return code;
}

static int show(struct lynse *db, struct lynse_collection *c, struct lynse_error *err)
{
    float vector[DIM] = {1};
    struct lynse_search_desc query = {.vector = vector, .dim = DIM, .k = 1, .error = err};
    struct lynse_hits *hits;
    uint64_t count;

    if (lynse_count(c, &count, err) || lynse_search(c, &query, &hits)) return -1;
    printf("%llu whole calls of %d rows in %.1f MiB; the best of them scores %.0f\n",
           (unsigned long long)count / ROWS, ROWS, (double)lynse_memory_bytes(db) / (1 << 20),
           (double)hits->scores[0]);
    lynse_hits_free(hits);
    return count % ROWS == 0 ? 0 : -1;
}

static int run(struct heap *heap, struct lynse_error *err)
{
    struct lynse *db;
    struct lynse_collection *c;
    struct lynse_open_desc root = {
        .path = ":memory:",
        .mode = LYNSE_INLINE,
        .allocator = {heap_alloc, heap_free, heap},
        .memory_budget_bytes = (uint64_t)BUDGET_MIB << 20,
    };
    /* A log in memory would keep nothing: without one the rows are all that there is. */
    struct lynse_collection_desc desc = {.name = "things", .dim = DIM, .sync = LYNSE_SYNC_NONE};

    if (lynse_open(&root, &db, err)) return -1;
    int rc = lynse_collection_require(db, &desc, &c, err) ? -1 : 0;
    if (rc == 0 && fill(c, err) != LYNSE_NO_MEMORY) rc = -1;
    if (rc == 0) printf("at the limit: %s: %s\n", lynse_error_name(err->code), err->text);
    if (rc == 0) rc = show(db, c, err);
    /* It may say that there is no memory to save to; a root in memory has nothing to save. */
    lynse_close(db, NULL);
    return rc;
}

int main(void)
{
    struct heap heap = {0};
    struct lynse_error err = {0};

    if (run(&heap, &err) != 0) {
        fprintf(stderr, "embedded_allocator: %s\n", err.text);
        return 1;
    }
    printf("closed: at most %.1f MiB of %d were in use, %lu blocks are left\n",
           (double)heap.used_bytes_max / (1 << 20), BUDGET_MIB, heap.block_count);
    return heap.block_count == 0 && heap.used_bytes == 0 ? 0 : 1;
}
