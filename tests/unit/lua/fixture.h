/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h — a host of scripts for a test, and calls of one line. */
#ifndef UNIT_LUA_FIXTURE_H
#define UNIT_LUA_FIXTURE_H

#include <math.h>

#include "lua/hooks.h"
#include "support/test.h"

struct fixture {
    struct alloc *alloc;
    struct hook_host *host;
    struct error err;
};

static inline void fixture_open(struct fixture *f, const struct clock *clock, unsigned pair_max)
{
    f->alloc = alloc_create(NULL, 0);
    assert_non_null(f->alloc);
    struct lua_host_desc desc = {.alloc = f->alloc, .clock = clock, .pair_max = pair_max};
    assert_ok(lua_host_create(&desc, &f->host, &f->err), &f->err);
}

static inline void fixture_close(struct fixture *f)
{
    lua_host_destroy(f->host);
    assert_int_equal(alloc_used_bytes(f->alloc), 0);
    alloc_destroy(f->alloc);
}

static inline int fixture_prepare(struct fixture *f, enum hook_point point, bool is_trusted,
                                  const char *source, struct hook **out)
{
    struct hook_desc desc = {
        .point = point, .source = slice_of_text(source), .is_trusted = is_trusted};
    return hook_prepare(f->host, &desc, out, &f->err);
}

static inline struct hook *fixture_hook(struct fixture *f, enum hook_point point, bool is_trusted,
                                        const char *source)
{
    struct hook *hook = NULL;
    assert_ok(fixture_prepare(f, point, is_trusted, source, &hook), &f->err);
    return hook;
}

/* One run with one batch; field x<digit> is digit + row, any other is NaN. */
static inline enum hook_result fixture_score(struct fixture *f, struct hook *hook, size_t n,
                                             const float *distances, float *out,
                                             struct hook_wants *wants)
{
    static double values[HOOK_FIELDS_MAX][HOOK_BATCH_ROWS];
    const double *columns[HOOK_FIELDS_MAX];
    struct hook_run *run;
    enum hook_result result;
    size_t calls = 0;

    if (hook_begin(hook, 0, &run, &f->err) != 0) return HOOK_FAILED;
    do {
        for (size_t i = 0; i < wants->field_count; i++) {
            const struct hook_field *field = &wants->fields[i];
            double base = field->name[0] == 'x' ? field->name[1] - '0' : (double)NAN;
            for (size_t row = 0; row < n; row++) values[i][row] = base + (double)row;
            columns[i] = values[i];
        }
        struct hook_batch batch = {n, distances, columns, wants->field_count, out};
        result = hook_score(run, &batch, wants, &f->err);
        assert_true(++calls <= HOOK_FIELDS_MAX + 2);
    } while (result == HOOK_WANTS_MORE);
    hook_end(run);
    return result;
}

/* Prepare, score three rows with the distances 1, 2, 3, destroy. */
static inline enum hook_result fixture_try(struct fixture *f, bool is_trusted, const char *source,
                                           float out[3])
{
    const float distances[] = {1, 2, 3};
    struct hook_wants wants = {0};
    struct hook *hook;

    if (fixture_prepare(f, HOOK_SCORE, is_trusted, source, &hook) != 0) return HOOK_FAILED;
    enum hook_result result = fixture_score(f, hook, 3, distances, out, &wants);
    hook_destroy(hook);
    return result;
}

#endif
