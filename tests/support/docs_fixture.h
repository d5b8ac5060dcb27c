/* SPDX-License-Identifier: Apache-2.0 */
/* docs_fixture.h — a root behind lynse.h on a disk in memory that can be made to fail, opened again
 * and again, with one collection. */
#ifndef SUPPORT_DOCS_FIXTURE_H
#define SUPPORT_DOCS_FIXTURE_H

#include <time.h>

#include "api/handles.h"
#include "support/test.h"
#include "support/vfs_faulty.h"

struct fixture {
    struct alloc *disk;
    struct vfs *memory;
    struct vfs *fs;            /* a faulty one over it */
    struct manual_clock clock; /* of inline roots */
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_error err;
    uint64_t next; /* id of the next row that is added */
};

#define assert_done(call, f)                                                                       \
    do {                                                                                           \
        if ((call) != LYNSE_OK) fail_msg("%s", (f)->err.text);                                     \
    } while (0)

static inline void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.disk = alloc_create(NULL, 0)};
    f->memory = vfs_memory_create(f->disk);
    f->fs = vfs_faulty_create(f->disk, f->memory);
    manual_clock_init(&f->clock, 1000000);
}

/* One job thread unless `how` says more. */
static inline void fixture_open(struct fixture *f, const struct engine_desc *how)
{
    struct engine_desc desc = *how;
    struct error err = {0};
    desc.path = "/root";
    desc.vfs = f->fs;
    if (desc.job_threads == 0) desc.job_threads = 1;
    if (desc.is_inline) desc.clock = &f->clock.base;
    struct alloc *a = alloc_create(&(struct alloc_hooks){0}, desc.budget_bytes);
    assert_ok(api_open(&desc, a, &f->db, &err), &err);
}

static inline int fixture_close(struct fixture *f)
{
    struct lynse *db = f->db;
    f->db = NULL;
    return lynse_close(db, &f->err);
}

static inline void fixture_deinit(struct fixture *f)
{
    if (f->db) assert_done(fixture_close(f), f);
    vfs_faulty_destroy(f->fs);
    vfs_memory_destroy(f->memory);
    assert_int_equal(alloc_used_bytes(f->disk), 0);
    alloc_destroy(f->disk);
}

static inline struct collection *state_of(struct fixture *f)
{
    return f->docs->host->collection;
}

/* A millisecond passes, for whoever works in the background. */
static inline void fixture_wait(struct fixture *f)
{
    if (f->db->engine->desc.is_inline) {
        manual_clock_advance(&f->clock, 1000);
        lynse_poll(f->db, 100);
    } else {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* Is a segment being merged, or one of the tasks that end by themselves under way at all? */
static inline bool fixture_is_busy(struct fixture *f, bool merges_alone)
{
    struct collection_status *s = NULL;
    struct error err = {0};
    assert_ok(engine_host_status(f->docs->host, &s, &err), &err);
    bool is_busy = s->is_merging || (!merges_alone && (s->is_sealing || s->is_loading));
    collection_status_destroy(s);
    return is_busy;
}

#endif
