/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c — pairs of states of one database: a bounded number, each borrowed for one run. */
#include "lua/pool.h"

#include "base/check.h"

enum { WAIT_US_MAX = 1000000 };

void pool_init(struct pool *p, struct alloc *a, const struct clock *clock, unsigned pair_max)
{
    CHECK(pair_max >= 1);
    *p = (struct pool){.alloc = a, .clock = clock, .pair_max = pair_max};
    mutex_init(&p->mutex);
    condition_init(&p->returned);
}

static void destroy_pair(struct pool *p, struct state_pair *pair)
{
    state_destroy(pair->states[0]);
    state_destroy(pair->states[1]);
    mem_free(p->alloc, pair);
}

void pool_deinit(struct pool *p)
{
    while (p->idle) {
        struct state_pair *pair = p->idle;
        p->idle = pair->next;
        p->pair_count--;
        destroy_pair(p, pair);
    }
    CHECK(p->pair_count == 0);
    condition_deinit(&p->returned);
    mutex_deinit(&p->mutex);
}

/* An idle pair, or NULL and the right to make one; -1: neither in time. */
static int take_turn(struct pool *p, uint64_t deadline_us, struct state_pair **out)
{
    uint64_t latest_us = clock_now_us(clock_system()) + WAIT_US_MAX;
    int rc = 0;

    if (deadline_us == 0 || deadline_us > latest_us) deadline_us = latest_us;
    mutex_lock(&p->mutex);
    while (rc == 0 && !p->idle && p->pair_count >= p->pair_max)
        if (!condition_wait_until(&p->returned, &p->mutex, deadline_us)) rc = -1;
    if (p->idle || p->pair_count < p->pair_max) rc = 0;
    *out = p->idle;
    if (p->idle) p->idle = p->idle->next;
    else if (rc == 0) p->pair_count++;
    mutex_unlock(&p->mutex);
    return rc;
}

static void give_up_turn(struct pool *p)
{
    mutex_lock(&p->mutex);
    p->pair_count--;
    condition_signal(&p->returned);
    mutex_unlock(&p->mutex);
}

int pool_borrow(struct pool *p, bool is_trusted, uint64_t deadline_us, struct state_pair **out,
                struct error *err)
{
    struct state_pair *pair;

    if (take_turn(p, deadline_us, &pair) != 0)
        return error_set(err, LYNSE_BUSY, "all %u pairs of script states are in use", p->pair_max);
    if (!pair) {
        pair = mem_zalloc(p->alloc, MEM_SCRIPT, sizeof *pair);
        if (!pair) {
            give_up_turn(p);
            return error_no_memory(err, sizeof *pair);
        }
    }
    if (!pair->states[is_trusted] &&
        state_create(p->alloc, p->clock, is_trusted, &pair->states[is_trusted], err) != 0) {
        pool_give_back(p, pair);
        return -1;
    }
    *out = pair;
    return 0;
}

void pool_give_back(struct pool *p, struct state_pair *pair)
{
    bool is_empty = true;

    for (int i = 0; i < 2; i++) {
        if (pair->states[i] && state_is_spent(pair->states[i])) {
            state_destroy(pair->states[i]);
            pair->states[i] = NULL;
        }
        if (pair->states[i]) is_empty = false;
    }
    if (is_empty) {
        destroy_pair(p, pair);
        give_up_turn(p);
        return;
    }
    mutex_lock(&p->mutex);
    pair->next = p->idle;
    p->idle = pair;
    condition_signal(&p->returned);
    mutex_unlock(&p->mutex);
}
