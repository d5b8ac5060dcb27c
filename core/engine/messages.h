/* SPDX-License-Identifier: Apache-2.0 */
/* messages.h — everything that is sent to the actors of an engine.
 *
 * Allocated by the sender, freed by the receiver, answered exactly once.  Results that an answer
 * carries are allocated by the sender too, so that answering a write that is already durable cannot
 * fail.
 */
#ifndef ENGINE_MESSAGES_H
#define ENGINE_MESSAGES_H

#include "actor/message.h"
#include "collection/collection.h"
#include "index/index_plan.h"

struct host;

/*    kind              handler            class    who */
#define COLLECTION_MESSAGES(_)                                                                     \
    _(OPEN, open, CONTROL)                                                                         \
    _(WRITE, write, WRITE)                                                                         \
    _(SYNC, sync, CONTROL)                                                                         \
    _(FLUSH, flush, CONTROL)                                                                       \
    _(SET_INDEX, set_index, CONTROL)                                                               \
    _(SET_SYNC, set_sync, CONTROL)                                                                 \
    _(DESCRIBE, describe, CONTROL)                                                                 \
    _(SET_HOOK, set_hook, CONTROL)                                                                 \
    _(INFO, info, CONTROL)                                                                         \
    _(REFRESH, refresh, CONTROL)                                                                   \
    _(CHECK, check, CONTROL)                                                                       \
    _(SEGMENT_READY, segment_ready, SYSTEM)                                                        \
    _(INDEX_READY, index_ready, SYSTEM)                                                            \
    _(LOAD_INDEXES, load_indexes, SYSTEM)                                                          \
    _(INDEX_LOADED, index_loaded, SYSTEM)                                                          \
    _(MEASURE_RECALL, measure_recall, SYSTEM)                                                      \
    _(RECALL_READY, recall_ready, SYSTEM)                                                          \
    _(MERGE_READY, merge_ready, SYSTEM)                                                            \
    _(MERGE_INDEXED, merge_indexed, SYSTEM)                                                        \
    _(MERGE_LOADED, merge_loaded, SYSTEM)                                                          \
    _(CLOSE, close, SYSTEM)

#define CATALOG_MESSAGES(_)                                                                        \
    _(CREATE_DATABASE, create_database, CONTROL)                                                   \
    _(DROP_DATABASE, drop_database, CONTROL)                                                       \
    _(CREATE_COLLECTION, create_collection, CONTROL)                                               \
    _(DROP_COLLECTION, drop_collection, CONTROL)                                                   \
    _(DIRECTORY_IDLE, directory_idle, SYSTEM)

enum message_kind {
    KIND_NONE,
#define MESSAGES_ENUM(name, handler, class) KIND_##name,
    COLLECTION_MESSAGES(MESSAGES_ENUM) CATALOG_MESSAGES(MESSAGES_ENUM)
#undef MESSAGES_ENUM
        KIND_COUNT
};

/* The answer of a write; freed by write_outcome_destroy. */
struct write_outcome {
    struct alloc *alloc;
    uint64_t lsn;
    uint64_t row_count;
    uint64_t first_number;
    uint8_t sync_reached;
    bool is_repeat;
};
void write_outcome_destroy(void *outcome);

struct write_message {
    struct message base; /* first */
    struct alloc *alloc;
    struct collection_write write;
    void *data; /* what write points to but for write.take_vectors: one block, owned */
    struct write_outcome *outcome;
};

/* A small order to a collection or to the catalog.  The answer's result is `result`, owned by the
 * message until then. */
struct order_message {
    struct message base; /* first */
    struct alloc *alloc;
    uint8_t level;                    /* SET_SYNC */
    uint32_t interval_ms;             /* SET_SYNC */
    uint8_t metric;                   /* SET_INDEX; 0: as it is */
    struct index_plan plan;           /* SET_INDEX; kind INDEX_NONE: no index */
    struct view *measured;            /* SET_INDEX: a reference: all its rows suit the metric */
    bool is_awaited;                  /* SET_INDEX: answered when all that is there is indexed */
    bool retire_log;                  /* FLUSH: a checkpoint */
    bool is_drop;                     /* CLOSE: without writing; the directory goes */
    char *text;                       /* DESCRIBE: owned; NULL: none */
    struct installed_hook *hook;      /* SET_HOOK: a reference */
    struct collection_status *status; /* INFO: where to; owned until answered */
    uint64_t wait_lsn;                /* SET_INDEX, while it waits: for segments up to here */
};

/* What an actor knows of its collection. */
struct collection_status {
    struct alloc *alloc;
    uint32_t dim;
    uint8_t metric;
    uint8_t storage; /* enum storage_type */
    struct index_plan plan;
    uint32_t indexed_segment_count; /* sealed ones that have it, or are too small to gain by it */
    float index_progress;           /* 0 to 1, of the rows that are to be indexed */
    uint64_t unindexed_count;       /* rows in memory and in segments that wait for an index */
    uint64_t index_build_count;     /* since it was opened */
    uint64_t index_failure_count;   /* likewise, of builds */
    bool is_building;               /* an index, also of a merge */
    size_t index_bytes;             /* of what is loaded of indexes */
    float recall;                   /* 0 to 1, of searches that were made again */
    uint32_t recall_query_count;    /* so many; 0: none */
    int64_t recall_measured_at_us;  /* the last of them, by the wall clock */
    struct error index_failure;     /* of the last build or load; code 0: none since */
    bool is_sealing, is_merging, is_loading; /* such a task is under way */
    uint8_t sync_level;
    uint32_t sync_interval_ms;
    uint32_t segment_count;
    uint64_t live_count;
    uint64_t dead_count;
    uint64_t tail_count;
    uint64_t max_int_id;
    bool has_int_id;
    bool is_read_only;
    uint64_t applied_lsn;
    uint64_t durable_lsn;
    uint64_t flushed_lsn;
    uint64_t log_bytes;
    struct uuid uuid;
    char *description; /* owned; NULL: none */
};
void collection_status_destroy(void *status);

/* A build is done; embedded in the seal's or merge's task. */
struct segment_ready_message {
    struct message base; /* first */
    struct segment_build build;
    struct error error; /* of the build; code 0: none */
};

/* Nobody works on the index any more; embedded in its task. */
struct index_ready_message {
    struct message base; /* first */
};

/* A piece of measuring recall is done; embedded in its task. */
struct recall_ready_message {
    struct message base; /* first */
};

/* An index is loaded, or is not going to be; embedded in its task. */
struct index_loaded_message {
    struct message base; /* first */
    struct error error;  /* why not; code 0: it is, or nobody wants it any more */
};

#endif
