/* SPDX-License-Identifier: Apache-2.0 */
/* task_message.c — what the tasks of a collection send to its actor (messages.h). */
#include "base/check.h"
#include "engine/engine.h"

void engine_handle_task(struct host *h, struct message *m)
{
    switch ((enum message_kind)m->kind) {
    case KIND_SEGMENT_READY:
        engine_on_segment_ready(h, (struct segment_ready_message *)m);
        break;
    case KIND_MERGE_READY:
        engine_on_merge_ready(h, (struct segment_ready_message *)m);
        break;
    case KIND_MERGE_INDEXED:
        engine_on_merge_indexed(h, (struct index_ready_message *)m);
        break;
    case KIND_MERGE_LOADED:
        engine_on_merge_loaded(h, (struct index_loaded_message *)m);
        break;
    case KIND_INDEX_READY:
        engine_end_index(h, (struct index_ready_message *)m);
        break;
    case KIND_INDEX_LOADED:
        engine_end_load(h, (struct index_loaded_message *)m);
        break;
    case KIND_MEASURE_RECALL:
        engine_measure_recall(h, m);
        break;
    case KIND_RECALL_READY:
        engine_end_recall(h, (struct recall_ready_message *)m);
        break;
    default:
        UNREACHABLE();
    }
}
