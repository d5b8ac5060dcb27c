/* SPDX-License-Identifier: Apache-2.0 */
/* lynse.h — the one public header of Lynse, an embedded-first vector database.
 *
 * MANUAL
 *
 *   A root is a folder, opened once per process: lynse_open.  It holds databases, they hold
 *   collections; "notes/docs" is the collection docs of the database notes, "docs" alone is
 *   "default/docs".  A collection holds records: an id, a vector of f32, and fields (any msgpack
 *   map).  The path ":memory:" opens a root that lives in memory and vanishes with lynse_close.
 *
 *       struct lynse *db;
 *       struct lynse_collection *docs;
 *       struct lynse_hits *hits;
 *       struct lynse_open_desc open = {.path = "./data"};
 *       struct lynse_collection_desc desc = {.dim = 3, .name = "docs"};
 *       float vectors[] = {1, 0, 0,  0, 1, 0};
 *       lynse_open(&open, &db, NULL);
 *       lynse_collection_require(db, &desc, &docs, NULL);
 *       struct lynse_rows rows = {.dim = 3, .count = 2, .vectors = vectors};
 *       struct lynse_search_desc query = {.dim = 3, .vector = vectors, .k = 1};
 *       lynse_add(docs, &rows, NULL, NULL, NULL);
 *       lynse_search(docs, &query, &hits);
 *       printf("%llu %f\n", (unsigned long long)hits->ids[0].number, hits->scores[0]);
 *       lynse_hits_free(hits);
 *       lynse_close(db, NULL);
 *
 *   RESULTS    A function returns LYNSE_OK (0) or a code of lynse_errors.h (> 0); step functions
 *              also LYNSE_MORE.  `err`, where there is one, is last and may be NULL; it is written
 *              only on failure.  Searches report into the desc's `error`.  An output is written
 *              only on success.  After any error the handle is usable and nothing was applied,
 *              unless the code is OUTCOME_UNKNOWN.
 *   NULL       A handle, a name, a desc, an output or any other pointer that is NULL answers
 *              INVALID and names the parameter.  May be NULL: err; options and result of writes;
 *              a description; out_durable_lsn; what the comment at a member or a function says.
 *              To close, free, cancel or skip NULL does nothing.
 *   DESCS      A desc is zero-initialised; its first member is struct_bytes: sizeof it, or 0 for
 *              the size of version 1 of the struct.  A zero member means the default.  New members
 *              come at the end.  The library copies what it needs before the call returns.
 *   DURABILITY A write that returned LYNSE_OK in LYNSE_SYNC_ALWAYS (the default) survives a power
 *              cut; weaker levels are named below, and every answer says which level it reached.
 *              After any crash a collection holds its first m groups, for one m that covers
 *              everything promised: no holes, no half groups.  One call is one group.
 *   THREADS    LYNSE_THREADS (default): the library runs its own threads and every handle may be
 *              used from any thread.  LYNSE_INLINE: no thread is ever started; all work happens in
 *              your calls and in lynse_poll, which you call once per frame; use the handles of one
 *              root from one thread at a time.
 *   SCORES     ip: the dot product, larger is nearer; l2: squared distance; cosine: 1 - cos, where
 *              a zero vector has distance 1, and so has one shorter than 1e-19; sums of products
 *              beyond a float's range (3e38) end as infinities.  Ties are ordered by id: integers
 *              by value, then text.
 *   LIFETIME   What a hits object points to lives until lynse_hits_free.  Close what you opened
 *              from a root before, or let lynse_close do it.  Other threads may be inside calls
 *              then: a call that waits is answered, a search ends, and lynse_close returns when
 *              nobody is inside; what begins while it runs, and what it cuts short, answers
 *              SHUTTING_DOWN.  A handle that is closed alone stays for the calls that are inside
 *              it.  No call may begin on a root or handle once its close has returned.
 *
 *   CAVEATS
 *   - One writer per root: a second lynse_open of it, from this or another process, is LOCKED.
 *   - After fork the child must not use, and cannot, what the parent opened: FORKED.
 *   - Do not call from a signal handler.
 *   - Do not keep a root on NFS or SMB: opening one for writing is refused.
 *   - A descriptor that another library closes by mistake cannot be 0, 1 or 2: ours are above.
 *   - Not promised: atomicity across collections, interactive transactions.
 */
#ifndef LYNSE_H
#define LYNSE_H

#include <stddef.h>
#include <stdint.h>

#include "lynse_errors.h"
#include "lynse_kinds.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LYNSE_API __attribute__((visibility("default")))

enum { LYNSE_MORE = -1 }; /* a step function: not done, call again */

struct lynse;            /* an open root */
struct lynse_collection; /* an open collection; any number of handles to one */
struct lynse_search;     /* a search under way */
struct lynse_scan;       /* a walk over all records */

struct lynse_error {
    int code;       /* enum lynse_code */
    int os_errno;   /* of the failed system call, or 0 */
    char text[244]; /* one sentence with the field, the value and the limit */
    /* BUSY, DISK_FULL: milliseconds until the library itself tries again what stands in the way; 0:
     * it does not, or the time is not known. */
    uint32_t retry_after_ms;
};

/* ---- The library ---- */

LYNSE_API const char *lynse_version(void);        /* "0.1.0" */
LYNSE_API uint32_t lynse_abi_version(void);       /* raised when a binary must be built anew */
LYNSE_API const char *lynse_error_name(int code); /* "NOT_FOUND"; "unknown" */
LYNSE_API const char *lynse_simd_level(void);     /* "avx2", "serial", …: docs/EMBEDDING.md */

/* The score of two vectors, as a search says it, by a metric's name or another name of it
 * (docs/DISTANCES.md): "l2", "euclidean".  INVALID: there is no such metric, or it cannot measure a
 * vector; DIMENSION: or this dimension.  Any thread. */
LYNSE_API int lynse_compute_distance(const char *metric, const float *a, const float *b,
                                     uint32_t dim, float *out, struct lynse_error *err);

enum lynse_log_level { LYNSE_LOG_DEBUG, LYNSE_LOG_INFO, LYNSE_LOG_WARN, LYNSE_LOG_ERROR };
/* Where log lines go; NULL: nowhere (the default).  Any thread may call it. */
LYNSE_API void lynse_set_log(void (*sink)(void *ctx, int level, const char *line), void *ctx,
                             int lowest);
/* Called when an internal check fails; it must not return (longjmp, or end the thread).  Without
 * one, or when it returns, one line goes to stderr and the process aborts.  Afterwards every call
 * answers INTERNAL.  No file, peer or argument can cause it. */
LYNSE_API void lynse_set_panic_handler(void (*handler)(const char *text, void *ctx), void *ctx);

/* ---- Roots ---- */

enum lynse_open_flags {
    LYNSE_OPEN_READ_ONLY = 1,  /* read beside a live writer of another process, or alone */
    LYNSE_OPEN_IMMUTABLE = 2,  /* with READ_ONLY: quiescent folder on read-only media, no lock */
    LYNSE_OPEN_NO_CREATE = 4,  /* the folder must exist and be ours */
    LYNSE_OPEN_NETWORK_FS = 8, /* open on NFS or SMB all the same */
    LYNSE_POLL_MAY_SYNC = 16,  /* inline: lynse_poll may wait for the disk */
    /* Hooks from source text run compiled and without budgets of instructions and time: for texts
     * of the host's own.  Without it they are interpreted in a sandbox, under budgets. */
    LYNSE_OPEN_TRUSTED_SCRIPTS = 32,
    LYNSE_OPEN_NO_RECALL = 64, /* do not measure recall when idle (struct lynse_collection_info) */
};
enum lynse_mode { LYNSE_THREADS = 0, LYNSE_INLINE = 1 };

/* What a write's answer means, and what it survives.
 *
 *   level      the write is                 process killed           power cut
 *   ALWAYS     synced to disk               yes                      yes
 *   INTERVAL   written, synced every N ms   yes                      all but the last N ms
 *   OS         written to the system        yes                      what the system had written
 *   NONE       in memory                    up to the last flush     up to the last flush
 */
enum lynse_sync_level {
    LYNSE_SYNC_DEFAULT = 0, /* threads ALWAYS, inline OS, ":memory:" NONE */
#define LYNSE_SYNC_LEVEL_ENUM(name, number, promise, of_writes) LYNSE_SYNC_##name = number,
    LYNSE_SYNC_LEVELS(LYNSE_SYNC_LEVEL_ENUM)
#undef LYNSE_SYNC_LEVEL_ENUM
};

struct lynse_allocator {
    void *(*alloc)(void *ctx, size_t bytes, size_t align); /* NULL: libc */
    void (*free)(void *ctx, void *block, size_t bytes);
    void *ctx;
};

struct lynse_open_desc {
    uint32_t struct_bytes;
    uint32_t flags;                   /* enum lynse_open_flags */
    const char *path;                 /* the folder, made if absent; or ":memory:" */
    uint32_t mode;                    /* enum lynse_mode */
    uint32_t sync;                    /* default level of new collections */
    uint32_t sync_interval_ms;        /* for INTERVAL, 1..1000; 0: 100 */
    uint32_t actor_threads;           /* 0: one per core; 1..256 */
    uint32_t search_threads;          /* 0: one per core */
    uint32_t job_threads;             /* 0: one per core */
    struct lynse_allocator allocator; /* all zero: libc */
    uint64_t memory_budget_bytes;     /* 0: none; beyond it calls answer NO_MEMORY */
    uint64_t seed;                    /* of UUIDs and placement; 0: from the system */
    /* A write that would leave fewer bytes of the disk free answers DISK_FULL.  0: 64 MiB or 1 %,
     * whichever is more, but at most an eighth; 1: until it is full; at most 2^50. */
    uint64_t low_water_bytes;
};

/* Errors: LOCKED (who, since when), INVALID (not ours: the text says whose it looks like),
 * FORMAT_TOO_NEW, READ_ONLY (no permission), NOT_FOUND, CORRUPT, IO. */
LYNSE_API int lynse_open(const struct lynse_open_desc *desc, struct lynse **out,
                         struct lynse_error *err);
/* Drains, syncs, releases the lock; handles of this root are closed too, calls inside are ended
 * and waited for: see LIFETIME.  Of several at once one closes it.  db NULL is allowed.  On
 * failure it is closed all the same (but for FORKED), and err says of which collection, what of it
 * is durable, and what was not done:
 *   OUTCOME_UNKNOWN     acknowledged writes may be missing at the next open: of INTERVAL and OS
 *                       after a failed sync, of NONE those since the last flush.
 *   DISK_FULL, IO, ...  every acknowledged write is durable.  What failed was a service to the next
 *                       open: a shorter log, or a mark that tells a damaged end from a crash. */
LYNSE_API int lynse_close(struct lynse *db, struct lynse_error *err);
/* Read-only: move on to what the writer has made durable since. */
LYNSE_API int lynse_refresh(struct lynse *db, struct lynse_error *err);
/* Inline: do up to about budget_us of waiting work.  LYNSE_MORE: some is left; LYNSE_OK: none. */
LYNSE_API int lynse_poll(struct lynse *db, uint64_t budget_us);
/* Barrier over all collections: everything acknowledged before is durable when it returns. */
LYNSE_API int lynse_sync(struct lynse *db, struct lynse_error *err);
LYNSE_API uint64_t lynse_memory_bytes(const struct lynse *db); /* allocated now; of NULL 0 */

/* ---- Databases and collections ---- */

struct lynse_names {
    size_t count;
    const char *const *names; /* sorted by bytes, NUL-terminated */
};
LYNSE_API void lynse_names_free(struct lynse_names *names); /* NULL is allowed */

LYNSE_API int lynse_database_create(struct lynse *db, const char *database,
                                    struct lynse_error *err); /* ALREADY_EXISTS */
LYNSE_API int
lynse_database_drop(struct lynse *db, const char *database,
                    struct lynse_error *err); /* with its collections, or not at all */
LYNSE_API int lynse_database_exists(struct lynse *db, const char *database, int *out,
                                    struct lynse_error *err);
LYNSE_API int lynse_database_list(struct lynse *db, struct lynse_names **out,
                                  struct lynse_error *err);

/* LYNSE_IP, LYNSE_L2, …: the lines of lynse_kinds.h. */
enum lynse_metric {
    LYNSE_METRIC_DEFAULT = 0, /* IP */
#define LYNSE_METRIC_ENUM(name, number, ...) LYNSE_##name = number,
    LYNSE_METRICS(LYNSE_METRIC_ENUM)
#undef LYNSE_METRIC_ENUM
};

/* LYNSE_STORAGE_F32, …: likewise. */
enum lynse_storage {
    LYNSE_STORAGE_DEFAULT = 0, /* F32 */
#define LYNSE_STORAGE_ENUM(name, number, text) LYNSE_STORAGE_##name = number,
    LYNSE_STORAGES(LYNSE_STORAGE_ENUM)
#undef LYNSE_STORAGE_ENUM
};

struct lynse_collection_desc {
    uint32_t struct_bytes;
    uint32_t dim;     /* 1..32768; 0: taken from the first vectors */
    const char *name; /* "database/collection" or "collection"; a missing database is made */
    uint32_t metric;  /* enum lynse_metric; default IP */
    uint32_t sync;    /* default: the root's */
    uint32_t sync_interval_ms;
    uint32_t storage;        /* enum lynse_storage, of the vectors; default F32 */
    const char *description; /* up to 4,096 bytes; NULL: none */
};
/* ALREADY_EXISTS.  An error that begins with "made, but not opened" is of the opening alone. */
LYNSE_API int lynse_collection_create(struct lynse *db, const struct lynse_collection_desc *desc,
                                      struct lynse_collection **out, struct lynse_error *err);
LYNSE_API int lynse_collection_open(struct lynse *db, const char *name,
                                    struct lynse_collection **out,
                                    struct lynse_error *err); /* NOT_FOUND */
/* Open it, or create it.  What the desc leaves 0 an existing one has as it likes; what it gives
 * must agree, or nothing is opened: DIMENSION for dim, INVALID for storage, for metric (build_index
 * changes it) and for a sync that promises more than the collection's (lynse_set_sync changes it).
 * A description is that of a new one. */
LYNSE_API int lynse_collection_require(struct lynse *db, const struct lynse_collection_desc *desc,
                                       struct lynse_collection **out, struct lynse_error *err);
LYNSE_API void lynse_collection_close(struct lynse_collection *c); /* the handle; NULL is allowed */
LYNSE_API int lynse_collection_drop(struct lynse *db, const char *name, struct lynse_error *err);
LYNSE_API int lynse_collection_exists(struct lynse *db, const char *name, int *out,
                                      struct lynse_error *err);
LYNSE_API int lynse_collection_list(struct lynse *db, const char *database,
                                    struct lynse_names **out, struct lynse_error *err);
LYNSE_API int lynse_collection_describe(struct lynse_collection *c, const char *description,
                                        struct lynse_error *err); /* NULL: without one */

struct lynse_index_param {
    const char *name; /* "ef_construction"; where the library gives it: static */
    double value;
};
enum { LYNSE_INDEX_PARAMS_MAX = 8 }; /* of one index */

struct lynse_collection_info {
    uint32_t struct_bytes; /* set before the call, 0: version 1 */
    uint32_t dim;          /* 0: not known yet */
    uint32_t metric;
    uint32_t sync;
    uint32_t sync_interval_ms;
    uint32_t segment_count; /* sealed ones */
    uint64_t live_count;    /* records */
    uint64_t deleted_count; /* deleted rows that are not reclaimed yet */
    uint64_t tail_count;    /* rows in memory, scanned exactly */
    uint64_t max_int_id;    /* largest integer id ever used; see has_int_id */
    uint32_t has_int_id;
    uint32_t is_read_only; /* opened so, or poisoned by a failed sync */
    uint64_t applied_lsn;  /* flushed <= durable <= applied */
    uint64_t durable_lsn;
    uint64_t flushed_lsn;
    uint64_t log_bytes;             /* that a replay would read */
    char index_mode[32];            /* "FLAT-IP", …; empty: none was asked for */
    char directory[48];             /* of the collection, below the root */
    uint32_t indexed_segment_count; /* sealed ones that have it, or are too small to gain by it */
    float index_progress;           /* 0 to 1, of the rows to be indexed; all others are scanned */
    uint32_t index_param_count;     /* what it is built with, standards included */
    uint32_t storage;               /* enum lynse_storage */
    struct lynse_index_param index_params[LYNSE_INDEX_PARAMS_MAX];
    /* While nobody searches, some of the searches that were made are made again, and compared with
     * looking at every record: how much of that the index finds, 0 to 1, recent ones counting
     * more; of how many searches, 0: of none; and when the last was, in microseconds since 1970. */
    float recall_measured;
    uint32_t recall_query_count;
    int64_t recall_measured_at_us;
    /* Why the last build of an index failed, which is tried again, ever more seldom; or what is
     * wrong with the file of an index that was damaged, which is built anew; or for want of what an
     * index could not be loaded, which is tried again too: until then its records are looked at one
     * by one.  Code 0: none of these, or something was built, loaded or asked for since. */
    struct lynse_error index_failure;
    /* 1: "AUTO" chose index_mode, and chooses again when segments are sealed or merged. */
    uint32_t index_is_auto;
    uint32_t index_is_building; /* 1: a build is under way, or a merge builds one */
    uint64_t unindexed_count; /* rows that an index is asked for and not there yet, tail and all */
    /* Indexes of segments that were built, and builds that failed, since the collection was opened
     * in this process; what was cancelled is neither. */
    uint64_t index_build_count, index_failure_count;
};
LYNSE_API int lynse_collection_info(struct lynse_collection *c, struct lynse_collection_info *out,
                                    struct lynse_error *err);
/* The description, as a list of one name; empty without one. */
LYNSE_API int lynse_collection_description(struct lynse_collection *c, struct lynse_names **out,
                                           struct lynse_error *err);

enum lynse_verify_level {
    LYNSE_VERIFY_QUICK = 1, /* what opening has read: segments, their order and sizes */
    LYNSE_VERIFY_FULL = 2,  /* every checksum, every row, every id */
    LYNSE_VERIFY_DEEP = 3,  /* and all that indexes hold, against their rows */
};
struct lynse_verify_desc {
    uint32_t struct_bytes;
    uint32_t level;         /* 0: LYNSE_VERIFY_FULL */
    const uint32_t *cancel; /* as of a search; NULL: none */
    /* DEEP: where to a line goes for each index that is sound: its mode, its records, and how many
     * of the 10 nearest of some of them it finds.  lynse_names_free.  NULL: not wanted. */
    struct lynse_names **out_indexes;
};
/* Look at everything of the collection, as it is now, and list what is wrong with it, a sentence
 * each; nothing wrong is an empty list.  Reads all of it on the calling thread and writes nothing;
 * others may write meanwhile.  An index that is not in memory is loaded for the time of a DEEP
 * look.  desc NULL: as if zero. */
LYNSE_API int lynse_verify(struct lynse_collection *c, const struct lynse_verify_desc *desc,
                           struct lynse_names **out, struct lynse_error *err);

/* ---- Writing ---- */

struct lynse_id {
    uint64_t number;  /* 0..2^64-2 */
    const char *text; /* not NULL: a text id of 1..255 bytes of UTF-8, number is ignored */
    uint32_t text_bytes;
    uint32_t reserved; /* 0 */
};
struct lynse_bytes {
    const void *data;
    size_t size;
};
struct lynse_rows {
    uint32_t struct_bytes;
    uint32_t dim;                     /* of the vectors; must be the collection's */
    size_t count;                     /* 1..100,000 */
    const struct lynse_id *ids;       /* NULL: see numbers */
    const uint64_t *numbers;          /* integer ids; both NULL: add gives max_int_id + 1, … */
    const float *vectors;             /* count x dim, row-major; finite */
    const struct lynse_bytes *fields; /* per row a msgpack map; NULL or size 0: see the call */
};
struct lynse_write_result {
    uint64_t lsn;          /* of the group; 0: nothing had to be written */
    uint64_t row_count;    /* rows added, replaced, deleted or restored */
    uint64_t first_number; /* the first id that was given by the collection */
    uint32_t sync_reached; /* enum lynse_sync_level */
    uint32_t is_repeat;    /* 1: request_id was applied before; this is its answer of then */
};
/* For writes that do not wait: called once, on a thread of the library; inline in lynse_poll, or in
 * a call that waits; where the write is refused at once, in that call.  It must be quick: it holds
 * up the collection.  In it whatever waits for an answer is INVALID at once, in both modes and for
 * any root: lynse_close, poll, sync, refresh, flush, checkpoint; to create, open, require or drop;
 * describe, info, description; index and sync level; a write without done.  Allowed are writes with
 * done, reads, searches, and closing a handle. */
typedef void lynse_write_done(void *ctx, const struct lynse_write_result *result,
                              const struct lynse_error *error);
struct lynse_write_options {
    uint32_t struct_bytes;
    uint32_t sync; /* DEFAULT: the collection's; NONE is per collection only */
    uint64_t
        timeout_us; /* 0: 30 s; at most 600 s.  OUTCOME_UNKNOWN when it passes while being logged */
    lynse_write_done *done; /* not NULL: return once the write is queued */
    void *done_ctx;
    /* Not all zero: however often the same write is sent with it, it is applied once, also after
     * OUTCOME_UNKNOWN and across crashes; see is_repeat.  INVALID: it was another write's.  A
     * collection knows its last 65,536, for 10 minutes each.  What was refused or changed nothing
     * is judged anew. */
    uint8_t request_id[16];
};

/* New records, all or none.  fields absent: none.  ALREADY_EXISTS names the first live id. */
LYNSE_API int lynse_add(struct lynse_collection *c, const struct lynse_rows *rows,
                        const struct lynse_write_options *options,
                        struct lynse_write_result *result, struct lynse_error *err);
/* New or replaced records.  fields NULL, or a row's size 0: an existing record keeps its fields. */
LYNSE_API int lynse_upsert(struct lynse_collection *c, const struct lynse_rows *rows,
                           const struct lynse_write_options *options,
                           struct lynse_write_result *result, struct lynse_error *err);
/* Unknown ids are skipped; row_count says how many were there. */
LYNSE_API int lynse_delete(struct lynse_collection *c, const struct lynse_id *ids, size_t count,
                           const struct lynse_write_options *options,
                           struct lynse_write_result *result, struct lynse_error *err);
/* Delete the records for which `where` is true in the version of this moment (docs/WHERE.md); what
 * is written meanwhile by others comes after it and stays.  More than 100,000 go in groups of so
 * many, each all or none: after an error row_count says how many went.  done must be NULL; the
 * time-out is that of all together.  With a request_id all go in one group or, LIMIT, none. */
LYNSE_API int lynse_delete_where(struct lynse_collection *c, const char *where,
                                 const struct lynse_write_options *options,
                                 struct lynse_write_result *result, struct lynse_error *err);
/* Bring deleted records back as they were; ids that are live, unknown or reclaimed are skipped. */
LYNSE_API int lynse_restore(struct lynse_collection *c, const struct lynse_id *ids, size_t count,
                            const struct lynse_write_options *options,
                            struct lynse_write_result *result, struct lynse_error *err);

/* ---- Indexes ----
 *
 * A mode is a kind of index, a metric (docs/DISTANCES.md) and, for some, a quantizer: "FLAT-IP",
 * "HNSW-COS-SQ8"; docs/INDEXES.md lists them.  "AUTO", "AUTO-L2": kind and quantizer are chosen by
 * what is in the collection and the root's memory budget, and again when segments were sealed or
 * merged, and with them all parameters: none may be given. */

enum lynse_index_flags {
    LYNSE_INDEX_NO_WAIT = 1, /* answer at once: lynse_collection_info says how far it is */
};
struct lynse_index_desc {
    uint32_t struct_bytes;
    uint32_t flags;                         /* enum lynse_index_flags */
    const char *mode;                       /* in upper or lower case */
    const struct lynse_index_param *params; /* in any order; what is not named has its standard */
    size_t param_count;                     /* at most 64 */
};
/* Search with this index from now on, by its metric.  It is built in the background, where it needs
 * building; until then searches are exact.  Answers when every record that was there is indexed,
 * however long that takes, inline by building it in this call; with LYNSE_INDEX_NO_WAIT once it is
 * asked for, which writes the rows in memory into a segment.  Then, inline, lynse_poll builds, and
 * where it may not sync a call that may, as lynse_sync, ends the build.  CANCELLED: another index
 * was asked for meanwhile.
 * UNSUPPORTED: a mode that is not there yet; INVALID: of none, parameters that there are none of,
 * or that contradict each other; LIMIT: out of range.  All say what there is.  INVALID, DIMENSION:
 * the metric cannot measure what is there, and the text names a record. */
LYNSE_API int lynse_index_set(struct lynse_collection *c, const struct lynse_index_desc *desc,
                              struct lynse_error *err);
/* The same with a mode alone. */
LYNSE_API int lynse_build_index(struct lynse_collection *c, const char *index_mode,
                                struct lynse_error *err);
/* Which metric a mode compares by; LYNSE_METRIC_DEFAULT: "AUTO", which keeps the collection's. */
LYNSE_API int lynse_index_metric(const char *index_mode, uint32_t *out_metric,
                                 struct lynse_error *err);
/* The metric stays. */
LYNSE_API int lynse_remove_index(struct lynse_collection *c, struct lynse_error *err);
/* Change the collection's level; leaving NONE flushes first. */
LYNSE_API int lynse_set_sync(struct lynse_collection *c, uint32_t sync, uint32_t interval_ms,
                             struct lynse_error *err);

LYNSE_API int lynse_collection_sync(struct lynse_collection *c, uint64_t *out_durable_lsn,
                                    struct lynse_error *err);
LYNSE_API int lynse_flush(struct lynse_collection *c,
                          struct lynse_error *err); /* tail into a segment */
LYNSE_API int lynse_checkpoint(struct lynse_collection *c,
                               struct lynse_error *err); /* flush, and retire the log */

/* ---- Reading ---- */

/* For liblynse-lua, which calls it from lynse_lua_attach: who prepares hooks from source text.
 * Once for a root, before its first search with one.  create gets the root's allocator and clock;
 * destroy is called when the root closes.  ALREADY_EXISTS: the root has a host. */
struct lynse_hook_host_ops {
    /* ctx, struct alloc *, const struct clock *, struct hook_host **, struct error *; 0 or -1 */
    int (*create)(const void *ctx, void *alloc, const void *clock, void **out_host, void *err);
    void (*destroy)(void *host);
    const void *ctx; /* of create; not looked at after the call */
};
LYNSE_API int lynse_attach_hook_host(struct lynse *db, const struct lynse_hook_host_ops *ops,
                                     struct lynse_error *err);

enum lynse_read_flags { LYNSE_WITH_FIELDS = 1, LYNSE_WITH_VECTORS = 2 };

/* Arrays of `count` entries in one order; query i has entries query_ends[i-1] … query_ends[i]-1. */
struct lynse_hits {
    size_t count;
    size_t query_count; /* 1 unless it was a batch */
    const size_t *query_ends;
    const struct lynse_id *ids;
    const uint64_t *numbers;          /* the ids as integers; NULL when one is text */
    const float *scores;              /* NULL where nothing was scored (get, scan) */
    const struct lynse_bytes *fields; /* msgpack maps; NULL unless asked for; size 0: no fields */
    const float *vectors;             /* count x dim; NULL unless asked for */
    uint32_t dim;
    uint32_t metric;
    uint64_t as_of_lsn;     /* the version that was read */
    uint32_t skipped_hooks; /* enum lynse_hook_bits: installed ones that failed; see on_failure */
    uint32_t reserved;
    const char *index_kind; /* "flat", "hnsw": what the collection is searched by; "" in a rerank */
};
LYNSE_API void lynse_hits_free(struct lynse_hits *hits); /* NULL is allowed */

/* Hooks: functions that take part in a search.  In them smaller is nearer, whatever the metric (an
 * inner product is negated), and the scores of the hits are what they give.  They are called on the
 * threads that search, several at once, and must not call lynse_close.
 *
 * score: called for batches of up to 4,096 candidates; which records these are is the search's
 * score_mode, at first every live one that passes `where`.  The hits are the k smallest of what it
 * writes.  fields[j][i] is field_names[j] of
 * record i, NaN where it is absent or no number; out[i] = NaN drops the record.  0, or the search
 * fails with LYNSE_HOOK. */
typedef int lynse_score_fn(void *ctx, size_t count, const float *distances,
                           const double *const *fields, float *out);
struct lynse_score_callback {
    lynse_score_fn *score;
    void *ctx;
    const char *const *field_names; /* paths; at most 32, of 1 to 255 bytes */
    size_t field_count;
    uint32_t flags; /* enum lynse_callback_flags */
};
enum lynse_callback_flags {
    LYNSE_ONE_THREAD = 1, /* only on the thread that calls lynse_search or lynse_search_step */
};
/* rerank: called once for each query with its hits, nearest first (10,000 at most).  places[0], …
 * of *inout_count become those that are kept, in their new order, each once; scores[i] is the new
 * score of places[i].  *inout_count comes in as hits->count.  0, or the search fails with
 * LYNSE_HOOK. */
struct lynse_hits;
typedef int lynse_rerank_fn(void *ctx, const struct lynse_hits *hits, size_t *inout_count,
                            uint32_t *places, float *scores);
struct lynse_rerank_callback {
    lynse_rerank_fn *rerank;
    void *ctx;
    uint32_t flags; /* enum lynse_read_flags: what of the hits it reads besides id and score */
};

/* ---- Hooks that a collection keeps ----
 *
 * A search that brings no score, or no rerank, of its own takes the one that is installed; get,
 * query, count and scans do not.  It runs one version from begin to end: that of the moment when
 * it began. */

enum lynse_hook_policy {
    LYNSE_HOOK_FAIL = 0, /* the search fails with the hook's error */
    /* The search answers as if the hook were not there, and hits->skipped_hooks says so: where it
     * failed with HOOK, cannot be compiled here (PARSE), has a name that no script has here
     * (NOT_FOUND), or the root has no host of scripts (UNSUPPORTED).  The deadline of the search
     * stays an error. */
    LYNSE_HOOK_SKIP = 1,
};
enum lynse_hook_bits { LYNSE_SKIPPED_SCORE = 1, LYNSE_SKIPPED_RERANK = 2 };

struct lynse_hook_desc {
    uint32_t struct_bytes;
    uint32_t on_failure;        /* enum lynse_hook_policy */
    const char *point;          /* "score", "rerank" */
    const char *source;         /* as of struct lynse_search_desc: 1 byte to 64 KiB */
    struct lynse_bytes options; /* likewise; a msgpack map of at most 16 KiB */
};
/* Compile it and keep it with the collection, durably, in the place of what was there.  Of each
 * point the versions are numbered from 1, also past a drop.  It is trusted where this root and the
 * one that runs it are opened with LYNSE_OPEN_TRUSTED_SCRIPTS.  out_version may be NULL.
 * PARSE, HOOK: the source does not compile, or makes no function, or is disabled for it was late;
 * UNSUPPORTED: without a host of scripts; NOT_FOUND: there is no shipped one of that name;
 * READ_ONLY.  Nothing is kept then. */
LYNSE_API int lynse_hook_set(struct lynse_collection *c, const struct lynse_hook_desc *desc,
                             uint64_t *out_version, struct lynse_error *err);
LYNSE_API int lynse_hook_drop(struct lynse_collection *c, const char *point,
                              struct lynse_error *err); /* NOT_FOUND: none is installed */

struct lynse_hook_info {
    const char *point;
    const char *source;
    struct lynse_bytes options; /* size 0: none */
    uint64_t version;
    uint32_t on_failure;
    uint32_t is_trusted;  /* the root that set it trusted scripts */
    uint32_t is_disabled; /* trusted, and late in three searches: until the root is opened again */
    uint32_t reserved;
};
struct lynse_hooks {
    size_t count;
    const struct lynse_hook_info *hooks;
};
LYNSE_API int lynse_hook_list(struct lynse_collection *c, struct lynse_hooks **out,
                              struct lynse_error *err);
LYNSE_API void lynse_hooks_free(struct lynse_hooks *hooks); /* NULL is allowed */

struct lynse_search_desc {
    uint32_t struct_bytes;
    uint32_t dim;
    const float *vector;       /* query_count x dim; finite */
    size_t query_count;        /* 0: 1; at most 10,000 */
    uint32_t k;                /* 0: 10; at most 100,000 */
    uint32_t flags;            /* enum lynse_read_flags, enum lynse_search_flags */
    float threshold;           /* with LYNSE_RANGE: hits at or nearer than this score, of which an
                                  index may miss some */
    uint32_t max_results;      /* with LYNSE_RANGE; 0: 1,000; at most 100,000 */
    const char *where;         /* only records for which it is true (docs/WHERE.md); NULL: all */
    uint64_t timeout_us;       /* 0: 30 s; at most 600 s */
    struct lynse_error *error; /* written on failure; must outlive the search; may be NULL */
    /* Source text in Lua that returns the function, or for rerank the name of a shipped one
     * (docs/LUA.md); needs liblynse-lua (lynse_lua.h).  NULL: none. */
    const char *score;
    const char *rerank;
    /* Instead of source text; what they point to outlives the search.  NULL: none. */
    const struct lynse_score_callback *score_callback;
    const struct lynse_rerank_callback *rerank_callback;
    /* A msgpack map of at most 16 KiB that the source text gets as its last argument; shipped
     * rerankers have theirs in docs/LUA.md.  size 0: an empty one. */
    struct lynse_bytes score_options;
    struct lynse_bytes rerank_options;
    /* Looked at at least once per millisecond of work: when it is not 0 the search ends with
     * CANCELLED.  Another thread may set it, atomically (__atomic_store_n, std::atomic_ref); it
     * must outlive the search.  NULL: none. */
    const uint32_t *cancel;
    /* How hard an index looks: hnsw's ef, ivf's and spann's nprobe, diskann's beam, at most
     * 1,048,576; and of k, how many are measured exactly where codes rank, 1 to 1,000.  0: as it
     * was built to. */
    uint32_t effort;
    float oversample;
    uint32_t score_mode; /* enum lynse_score_mode: which records a score, of the desc or installed,
                            is given */
    /* Not 0: a scan may pass over records whose scores are better than that of the last hit by no
     * more than this, and a graph stops when it gets no nearer.  Finite, 0 or more. */
    float eps;
};
enum lynse_search_flags {
    LYNSE_RANGE = 16,
    LYNSE_NO_HOOKS = 64, /* as if none were installed on the collection */
    LYNSE_EXACT = 128,   /* look at every record, whatever the index */
    LYNSE_PAGES = 256,   /* lynse_search_next may follow; of one query, without LYNSE_RANGE */
};
enum lynse_score_mode {
    LYNSE_SCORE_ALL = 0, /* every one that passes `where` */
    /* The nearest ones, through an index where there is one: of k oversample times as many, 4 times
     * if nothing is said, 100 and effort at least.  Where so many of them are dropped that fewer
     * than k are left, more are collected: if k can be found, k come back. */
    LYNSE_SCORE_COLLECT = 1,
    /* So, and then twice as many each time, until as many again bring none into the k best. */
    LYNSE_SCORE_BEAM = 2,
};

LYNSE_API int lynse_search(struct lynse_collection *c, const struct lynse_search_desc *desc,
                           struct lynse_hits **out);
/* The same in steps of about budget_us on the calling thread; results are identical.  step returns
 * LYNSE_MORE until it gives the hits (LYNSE_OK) or fails; then the search is gone, unless out was
 * NULL (INVALID) or it was not touched at all (FORKED, INTERNAL). */
LYNSE_API int lynse_search_begin(struct lynse_collection *c, const struct lynse_search_desc *desc,
                                 struct lynse_search **out);
LYNSE_API int lynse_search_step(struct lynse_search *s, uint64_t budget_us,
                                struct lynse_hits **out);
/* With LYNSE_PAGES a search stays after its hits: this asks for the next k, of the same version,
 * which steps then give, within timeout_us again.  Fewer than k hits, or none: there are no more.
 * Exact searches go on where one for all of them would; through an index what was missed before
 * may come later; no record comes twice.  LIMIT: more than 100,000 in all.  INVALID: a step has
 * still to be made.  Such a search ends with lynse_search_cancel, or when it fails. */
LYNSE_API int lynse_search_next(struct lynse_search *s, uint32_t k);
LYNSE_API void
lynse_search_cancel(struct lynse_search *s); /* instead of a further step; NULL is allowed */

/* The records of these ids, in this order; unknown and deleted ones are left out. */
LYNSE_API int lynse_get(struct lynse_collection *c, const struct lynse_id *ids, size_t count,
                        uint32_t flags, struct lynse_hits **out, struct lynse_error *err);
LYNSE_API int lynse_exists(struct lynse_collection *c, const struct lynse_id *id, int *out,
                           struct lynse_error *err);
LYNSE_API int lynse_count(struct lynse_collection *c, uint64_t *out, struct lynse_error *err);
/* Live records for which `where` is true.  DEADLINE after 30 s. */
LYNSE_API int lynse_count_where(struct lynse_collection *c, const char *where, uint64_t *out,
                                struct lynse_error *err);
/* Records in the order in which they were written, of one version: a scan sees no later write. */
enum lynse_scan_flags { LYNSE_SCAN_DELETED = 32 }; /* the deleted records: what could be restored */
LYNSE_API int lynse_scan_begin(struct lynse_collection *c, uint32_t flags, struct lynse_scan **out,
                               struct lynse_error *err);
/* The same for the live records for which `where` is true (docs/WHERE.md).  PARSE names the
 * position; flags: enum lynse_read_flags. */
LYNSE_API int lynse_query_begin(struct lynse_collection *c, const char *where, uint32_t flags,
                                struct lynse_scan **out, struct lynse_error *err);
/* Before a step: it and those that follow take timeout_us at most (0: 30 s, as without this call;
 * at most 600 s), else DEADLINE, and end with CANCELLED soon after another thread has set *cancel
 * (as that of lynse_search_desc; it must outlive the scan; NULL: none). */
LYNSE_API void lynse_scan_limit(struct lynse_scan *s, uint64_t timeout_us, const uint32_t *cancel);
/* Up to row_max records; an empty hits object: the end.  DEADLINE after 30 s; where a filter was at
 * work then, the scan is over. */
LYNSE_API int lynse_scan_next(struct lynse_scan *s, size_t row_max, struct lynse_hits **out,
                              struct lynse_error *err);
/* Pass over rows without reading them; how many there were.  Fewer are the end, or what ended it,
 * which lynse_scan_next says. */
LYNSE_API uint64_t lynse_scan_skip(struct lynse_scan *s, uint64_t row_count);
LYNSE_API void lynse_scan_free(struct lynse_scan *s); /* NULL is allowed */
/* Names of all top-level fields of live records, sorted. */
LYNSE_API int lynse_list_fields(struct lynse_collection *c, struct lynse_names **out,
                                struct lynse_error *err);

#ifdef __cplusplus
}
#endif

#endif
