/* SPDX-License-Identifier: Apache-2.0 */
/* messages.c — how what is sent to a collection ends: answered, or dropped, and freed. */
#include "engine/engine.h"

/* ---- writes ---- */

void write_message_free(struct write_message *m)
{
    mem_free(m->alloc, m->data);
    mem_free(m->alloc, m->write.take_vectors);
    if (m->outcome) write_outcome_destroy(m->outcome);
    message_destroy(&m->base);
}

void write_outcome_destroy(void *outcome)
{
    struct write_outcome *o = outcome;
    mem_free(o->alloc, o);
}

void write_message_drop(struct message *base, int code)
{
    struct write_message *m = (struct write_message *)base;

    message_answer_code(base, code);
    write_message_free(m);
}

/* ---- orders ---- */

void order_message_free(struct order_message *m)
{
    mem_free(m->alloc, m->text);
    installed_hook_release(m->hook);
    view_release(m->measured);
    if (m->status) collection_status_destroy(m->status);
    message_destroy(&m->base);
}

void order_message_drop(struct message *base, int code)
{
    message_answer_code(base, code);
    order_message_free((struct order_message *)base);
}

void engine_answer_order(struct order_message *m, int rc, const struct error *err)
{
    if (rc == 0) message_answer_code(&m->base, LYNSE_OK);
    else message_answer_error(&m->base, err);
    order_message_free(m);
}
