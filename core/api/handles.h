/* SPDX-License-Identifier: Apache-2.0 */
/* handles.h — what the opaque types of lynse.h are, and the small change of every call. */
#ifndef API_HANDLES_H
#define API_HANDLES_H

#include "engine/engine.h"
#include "lynse.h"

/* The allocator of a root.  Results may outlive the root: the last one to let go destroys it. */
struct api_memory {
    struct mutex mutex;
    size_t reference_count;
    struct alloc *alloc;
};

struct lynse {
    struct engine *engine;
    struct api_memory *memory;
    struct mutex mutex; /* of the list */
    struct lynse_collection *collections;
};

struct lynse_collection {
    struct lynse_collection *next; /* of the root's list */
    struct lynse *db;
    struct host *host;
};

struct api_memory *api_memory_acquire(struct api_memory *m);
void api_memory_release(struct api_memory *m);

/* Copy an internal error out and return its code, which is never 0. */
int api_fail(const struct error *from, struct lynse_error *to);

/* Copy a desc of `bytes` = its struct_bytes (0: all of version 1, v1_bytes) into the `size` bytes
 * at
 * out, zero beyond.  INVALID: shorter than version 1, or longer than this library knows with
 * something set there. */
int api_copy_desc(const char *what, void *out, size_t size, const void *desc, uint32_t bytes,
                  size_t v1_bytes, struct error *err);

/* Monotonic deadline of a call; timeout_us 0: 30 s.  LIMIT beyond 600 s. */
int api_deadline(const struct engine *e, uint64_t timeout_us, uint64_t *out, struct error *err);

/* "database/collection" or "collection", checked, into two NUL-terminated names. */
int api_name(const char *text, char database[NAME_ROOM], char name[NAME_ROOM], struct error *err);

int api_id(const struct lynse_id *from, struct record_id *to, struct error *err);
/* Ids of a request, checked; allocated from a. */
int api_ids(struct alloc *a, const struct lynse_id *from, size_t count, struct record_id **out,
            struct error *err);
unsigned api_columns(uint32_t flags); /* enum lynse_read_flags → enum result_columns */

/* A result as the caller sees it; takes the result on success and on failure. */
int api_hits(struct lynse *db, struct result *take_result, struct lynse_hits **out,
             struct error *err);
/* A sorted list of names as the caller sees it; copies them. */
int api_names(struct lynse *db, const struct slice *names, size_t count, struct lynse_names **out,
              struct error *err);

#endif
