/* SPDX-License-Identifier: Apache-2.0 */
#include "actor/message.h"

#include <string.h>

#include "actor/message_pool.h"
#include "actor/scheduler.h"
#include "base/faults.h"

void *message_create(struct scheduler *s, size_t struct_bytes, uint16_t kind,
                     enum message_class class)
{
    struct message_shard *home;
    struct message *m = message_pool_take(s->messages, struct_bytes, &home);

    if (!m) return NULL;
    memset((void *)m, 0, struct_bytes);
    m->kind = kind;
    m->class = (uint8_t) class;
    m->bytes = struct_bytes;
    m->drop = message_drop_plain;
    m->home = home;
    return m;
}

void message_destroy(struct message *m)
{
    reply_release(m->reply);
    m->reply = NULL;
    if (m->home) message_pool_give(m->home, m);
}

void message_answer(struct message *m, struct answer *take_answer)
{
    if (m->reply) reply_complete(m->reply, take_answer);
    else answer_deinit(take_answer);
}

void message_answer_code(struct message *m, int code)
{
    if (m->reply) reply_complete_code(m->reply, code);
}

void message_answer_error(struct message *m, const struct error *error)
{
    struct answer answer;

    if (!m->reply) return;
    answer_init_error(&answer, error);
    reply_complete(m->reply, &answer);
}

void message_drop(struct message *m, int code)
{
    if (FAULT(ACTOR_DROP_WITHOUT_ANSWER)) m->reply = NULL;
    m->drop(m, code);
}

void message_drop_plain(struct message *m, int code)
{
    message_answer_code(m, code);
    message_destroy(m);
}

void message_cancel(struct message *m)
{
    atomic_store_relaxed(&m->is_cancelled, true);
}

bool message_is_cancelled(const struct message *m)
{
    /* Relaxed: the flag carries nothing with it. */
    return atomic_load_relaxed(&m->is_cancelled) || (m->reply && reply_is_cancelled(m->reply));
}

int message_refusal(const struct message *m, uint64_t now_us)
{
    if (m->class == MESSAGE_SYSTEM) return LYNSE_OK;
    if (message_is_cancelled(m)) return LYNSE_CANCELLED;
    if (m->deadline_us != 0 && now_us >= m->deadline_us) return LYNSE_DEADLINE;
    return LYNSE_OK;
}
