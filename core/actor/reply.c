/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c — exactly-once replies: callbacks and futures.
 *
 * WHAT        A reply is completed by one thread and observed by another, or by a callback.
 * INVARIANTS  (1) deliver runs at most once: the first swap of is_complete wins.
 *             (2) A reply that is released was completed before.
 *             (3) A future lives until both ends let go; the completer's end is held until
 *                 parker_wake has returned, so that a waiter that leaves early cannot free the
 *                 parker under it.
 *             (4) A result has one owner: answer, then future, then whoever takes it.
 * THREADS     The completer's end: one thread at a time.  The requester's end: likewise.
 * FAILURE     A broken promise is a CHECK in debug; in release it is counted, and the requester
 *             gets INTERNAL instead of waiting for ever.
 */
#include "actor/reply.h"

#include "actor/scheduler.h"
#include "base/check.h"
#include "base/faults.h"

/* With no thread of ours to wake it, a waiter looks again this often for work that another thread
 * of the host may have queued. */
enum { RECHECK_US = 10000 };

void answer_init(struct answer *a, int code)
{
    *a = (struct answer){.code = code};
    if (code != LYNSE_OK) error_set(&a->error, code, "%s", error_sentence(code));
}

void answer_init_error(struct answer *a, const struct error *error)
{
    *a = (struct answer){.code = error->code, .error = *error};
}

void answer_deinit(struct answer *a)
{
    if (a->destroy_result) a->destroy_result(a->result);
    a->result = NULL;
    a->destroy_result = NULL;
}

static void reply_init(struct reply *r, struct scheduler *s, reply_fn *deliver, void *ctx,
                       void (*free_end)(struct reply *))
{
    r->scheduler = s;
    r->alloc = s->alloc;
    r->deliver = deliver;
    r->ctx = ctx;
    r->free = free_end;
    atomic_store_relaxed(&r->is_complete, 0);
    atomic_store_relaxed(&r->is_cancelled, false);
}

static void free_callback(struct reply *r)
{
    mem_free(r->alloc, r);
}

struct reply *reply_create_callback(struct scheduler *s, reply_fn *deliver, void *ctx,
                                    struct error *err)
{
    struct reply *r = mem_alloc(s->alloc, MEM_MESSAGE, sizeof *r);
    if (!r) {
        error_no_memory(err, sizeof *r);
        return NULL;
    }
    reply_init(r, s, deliver, ctx, free_callback);
    return r;
}

void reply_complete(struct reply *r, struct answer *take_answer)
{
    /* acq_rel pairs with itself: of two completers one sees the other. */
    if (atomic_swap_acq_rel(&r->is_complete, 1) != 0) {
        CHECK_SLOW(!"a reply is completed once"); /* (1) */
        atomic_add_relaxed(&r->scheduler->replies.completed_twice, 1);
        answer_deinit(take_answer);
        return;
    }
    if (FAULT(ACTOR_DOUBLE_REPLY)) {
        struct answer again = {.code = take_answer->code, .error = take_answer->error};
        r->deliver(r->ctx, &again);
    }
    r->deliver(r->ctx, take_answer);
}

void reply_complete_code(struct reply *r, int code)
{
    struct answer answer;
    answer_init(&answer, code);
    reply_complete(r, &answer);
}

void reply_release(struct reply *r)
{
    if (!r) return;
    /* Relaxed: only the completer's end writes it. */
    if (atomic_load_relaxed(&r->is_complete) == 0) {
        CHECK_SLOW(!"a reply is completed before it is released"); /* (2) */
        atomic_add_relaxed(&r->scheduler->replies.forgotten, 1);
        struct answer answer = {.code = LYNSE_INTERNAL};
        error_set(&answer.error, LYNSE_INTERNAL, "the request was given up without an answer");
        reply_complete(r, &answer);
    }
    r->free(r);
}

void reply_cancel(struct reply *r)
{
    atomic_store_relaxed(&r->is_cancelled, true);
}

/* (3), (4): the last end frees what nobody took. */
static void drop_reference(struct future *f)
{
    if (atomic_sub_acq_rel(&f->reference_count, 1) != 1) return;
    answer_deinit(&f->answer);
    parker_deinit(&f->parker);
    mem_free(f->reply.alloc, f);
}

static void free_completer_end(struct reply *r)
{
    drop_reference((struct future *)r);
}

static void deliver_to_future(void *ctx, struct answer *take_answer)
{
    struct future *f = ctx;

    if (atomic_load_relaxed(&f->is_answered)) {
        atomic_add_relaxed(&f->reply.scheduler->replies.completed_twice, 1);
        answer_deinit(take_answer);
        return;
    }
    f->answer = *take_answer;
    atomic_store_release(&f->is_answered, 1); /* pairs with future_poll */
    parker_wake(&f->parker);
}

struct future *future_create(struct scheduler *s, struct error *err)
{
    struct future *f = mem_alloc(s->alloc, MEM_MESSAGE, sizeof *f);
    if (!f) {
        error_no_memory(err, sizeof *f);
        return NULL;
    }
    reply_init(&f->reply, s, deliver_to_future, f, free_completer_end);
    atomic_store_relaxed(&f->reference_count, 2);
    atomic_store_relaxed(&f->is_answered, 0);
    f->answer = (struct answer){0};
    parker_init(&f->parker);
    return f;
}

bool future_poll(struct future *f, struct answer *out_answer)
{
    if (!atomic_load_acquire(&f->is_answered)) return false; /* pairs with deliver_to_future */
    *out_answer = f->answer;
    f->answer.result = NULL;
    f->answer.destroy_result = NULL;
    return true;
}

/* Nothing is ready on this thread.  false: nothing will ever answer before the deadline. */
static bool rest_between_pumps(struct future *f, uint64_t next_us, uint64_t deadline_us)
{
    struct scheduler *s = f->reply.scheduler;
    uint64_t wake_us = scheduler_now_us(s) + RECHECK_US;

    if (s->clock != clock_system()) return false;
    if (next_us < wake_us) wake_us = next_us;
    if (deadline_us != 0 && deadline_us < wake_us) wake_us = deadline_us;
    (void)parker_wait(&f->parker, NULL, wake_us ? wake_us : 1);
    return true;
}

static void pump_until_answered(struct future *f, uint64_t deadline_us)
{
    struct scheduler *s = f->reply.scheduler;

    while (!atomic_load_acquire(&f->is_answered)) {
        uint64_t next_us = UINT64_MAX;
        if (deadline_us != 0 && scheduler_now_us(s) >= deadline_us) return;
        if (s->ops->pump(s, deadline_us, &next_us)) continue;
        if (!atomic_load_acquire(&f->is_answered) && !rest_between_pumps(f, next_us, deadline_us))
            return;
    }
}

static void sleep_until_answered(struct future *f, uint64_t deadline_us)
{
    struct spinner *sp = &f->reply.scheduler->wait_spinner;

    while (!atomic_load_acquire(&f->is_answered))
        if (!parker_wait(&f->parker, sp, deadline_us)) return;
}

int future_wait(struct future *f, uint64_t deadline_us, struct answer *out_answer,
                struct error *err)
{
    if (future_poll(f, out_answer)) return 0;
    if (f->reply.scheduler->ops->pump) pump_until_answered(f, deadline_us);
    else sleep_until_answered(f, deadline_us);
    if (future_poll(f, out_answer)) return 0;
    return error_set(err, LYNSE_DEADLINE, "no answer before the deadline");
}

void future_cancel(struct future *f)
{
    reply_cancel(&f->reply);
}

void future_release(struct future *f)
{
    if (f) drop_reference(f);
}
