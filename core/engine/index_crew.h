/* SPDX-License-Identifier: Apache-2.0 */
/* index_crew.h — all job threads work on the build of one index (segment/index_builder.h), until it
 * is over; then the collection's actor is told, with a message.
 */
#ifndef ENGINE_INDEX_CREW_H
#define ENGINE_INDEX_CREW_H

#include "engine/engine.h"

struct index_worker {
    struct task task; /* first */
    struct index_crew *crew;
    bool is_out; /* the scheduler has it */
};

struct index_crew {
    struct host *host;
    struct index_builder *builder; /* the collection's; it outlives the crew's work */
    struct index_ready_message ready;
    struct mutex mutex; /* of all below */
    uint32_t out_count;
    uint32_t worker_count;
    struct index_worker workers[];
};

/* All in the collection's turn.  Its message will be of this kind; NULL: NO_MEMORY. */
struct index_crew *index_crew_make(struct host *h, uint16_t ready_kind);
/* It fails: it is still yours, and the builder is cancelled.  Else the message comes, once. */
int index_crew_start(struct index_crew *c, struct index_builder *b, struct error *err);
void index_crew_cancel(struct index_crew *c); /* it comes back soon all the same; NULL allowed */
void index_crew_free(struct index_crew *c);   /* not while it is out */
/* May the file be written here: outside a call of the host that waits for the disk anyway (R4b)? */
bool index_may_save(const struct host *h);

#endif
