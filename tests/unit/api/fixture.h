/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h — a root opened through lynse.h, in both modes, in a folder and in memory.
 *
 * `#define CASES(_) _(one) _(two) …`, then API_TESTS(CASES) runs each case in all four; a case's
 * state is its struct fixture.  Every root is given counting allocator hooks: a case that leaves a
 * byte behind fails in its tear-down, and so does one that reaches the panic handler.
 */
#ifndef API_FIXTURE_H
#define API_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "lynse.h"
#include "support/temp_dir.h"
#include "support/test.h"

/* With tiny limits a tail is full after 16 rows: in inline mode, where nothing is sealed without a
 * call that may wait for the disk, two such may wait (R4b). */
#ifdef LYNSE_TINY
enum { IS_TINY = 1 };
#else
enum { IS_TINY = 0 };
#endif

struct variant {
    uint32_t mode; /* enum lynse_mode */
    bool in_memory;
};

struct fixture {
    const struct variant *variant;
    char folder[TEMP_PATH_BYTES]; /* empty when in memory */
    char path[TEMP_PATH_BYTES + 8];
    struct lynse *db;
    struct lynse_collection *docs; /* "docs", dimension 3, L2; opened by fixture_make_docs */
    struct lynse_error err;
};

/* What the hooks of all roots of this process have given out and not got back. */
static _Atomic(int64_t) hook_blocks, hook_bytes, panic_count;

static inline void *hook_alloc(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    void *block = aligned_alloc(align, (bytes + align - 1) / align * align);
    if (!block) return NULL;
    atomic_fetch_add(&hook_blocks, 1);
    atomic_fetch_add(&hook_bytes, (int64_t)bytes);
    return block;
}

static inline void hook_free(void *ctx, void *block, size_t bytes)
{
    (void)ctx;
    atomic_fetch_sub(&hook_blocks, 1);
    atomic_fetch_sub(&hook_bytes, (int64_t)bytes);
    free(block);
}

static inline void count_panic(const char *text, void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&panic_count, 1);
    print_error("panic: %s\n", text);
}

#define assert_done(call, f)                                                                       \
    do {                                                                                           \
        if ((call) != LYNSE_OK) {                                                                  \
            print_error("error %s: %s\n", lynse_error_name((f)->err.code), (f)->err.text);         \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* The code is as expected, in the answer and in the error; the text names all that is given. */
#define assert_refused(answer, f, expected, ...)                                                   \
    do {                                                                                           \
        const char *const words_[] = {"", __VA_ARGS__};                                            \
        memset(&(f)->err, 0, sizeof(f)->err);                                                      \
        int code_ = (answer);                                                                      \
        if (code_ != (expected)) print_error("got: '%s'\n", (f)->err.text);                        \
        assert_string_equal(lynse_error_name(code_), lynse_error_name(expected));                  \
        assert_int_equal((f)->err.code, (expected));                                               \
        for (size_t w_ = 0; w_ < sizeof words_ / sizeof *words_; w_++)                             \
            if (!strstr((f)->err.text, words_[w_]))                                                \
                fail_msg("'%s' does not name '%s'", (f)->err.text, words_[w_]);                    \
    } while (0)

static inline struct lynse_open_desc fixture_desc(const struct fixture *f)
{
    return (struct lynse_open_desc){
        .path = f->path,
        .mode = f->variant->mode,
        .actor_threads = 2,
        .search_threads = 2,
        .allocator = {hook_alloc, hook_free, NULL},
        .seed = 1,
    };
}

static inline void fixture_open(struct fixture *f)
{
    struct lynse_open_desc desc = fixture_desc(f);
    assert_done(lynse_open(&desc, &f->db, &f->err), f);
}

static inline void fixture_close(struct fixture *f)
{
    struct lynse *db = f->db;
    f->db = NULL;
    f->docs = NULL;
    assert_done(lynse_close(db, &f->err), f);
}

/* Close and open again, "docs" too when it was open.  Not in memory: nothing would be left. */
static inline void fixture_reopen(struct fixture *f)
{
    bool had_docs = f->docs != NULL;
    assert_false(f->variant->in_memory);
    fixture_close(f);
    fixture_open(f);
    if (had_docs) assert_done(lynse_collection_open(f->db, "docs", &f->docs, &f->err), f);
}

/* The level that folders have by default: in memory there would be no log to test. */
static inline uint32_t fixture_level(const struct fixture *f)
{
    return f->variant->mode == LYNSE_INLINE ? LYNSE_SYNC_OS : LYNSE_SYNC_ALWAYS;
}

static inline void fixture_make_docs(struct fixture *f)
{
    struct lynse_collection_desc desc = {
        .name = "docs", .dim = 3, .metric = LYNSE_L2, .sync = fixture_level(f)};
    assert_done(lynse_collection_create(f->db, &desc, &f->docs, &f->err), f);
}

static inline int fixture_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->variant = *state;
    hook_blocks = hook_bytes = panic_count = 0;
    lynse_set_panic_handler(count_panic, NULL);
    if (f->variant->in_memory) {
        snprintf(f->path, sizeof f->path, ":memory:");
    } else {
        temp_dir_make(f->folder);
        snprintf(f->path, sizeof f->path, "%s/root", f->folder);
    }
    fixture_open(f);
    *state = f;
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->db) fixture_close(f);
    if (f->folder[0]) temp_dir_remove(f->folder);
    free(f);
    lynse_set_panic_handler(NULL, NULL);
    assert_int_equal(hook_blocks, 0);
    assert_int_equal(hook_bytes, 0);
    assert_int_equal(panic_count, 0);
    return 0;
}

__attribute__((unused)) static struct variant threads_folder = {LYNSE_THREADS, false};
__attribute__((unused)) static struct variant threads_memory = {LYNSE_THREADS, true};
__attribute__((unused)) static struct variant inline_folder = {LYNSE_INLINE, false};
__attribute__((unused)) static struct variant inline_memory = {LYNSE_INLINE, true};

#define API_CASE(case_, variant_, name_)                                                           \
    {name_ #case_, case_, fixture_set_up, fixture_tear_down, &variant_},
#define API_THREADS_FOLDER(c) API_CASE(c, threads_folder, "threads, folder: ")
#define API_THREADS_MEMORY(c) API_CASE(c, threads_memory, "threads, memory: ")
#define API_INLINE_FOLDER(c) API_CASE(c, inline_folder, "inline, folder: ")
#define API_INLINE_MEMORY(c) API_CASE(c, inline_memory, "inline, memory: ")
/* In all four, or in those that leave something on a disk. */
#define API_EVERYWHERE(CASES)                                                                      \
    CASES(API_THREADS_FOLDER)                                                                      \
    CASES(API_THREADS_MEMORY) CASES(API_INLINE_FOLDER) CASES(API_INLINE_MEMORY)
#define API_IN_FOLDERS(CASES) CASES(API_THREADS_FOLDER) CASES(API_INLINE_FOLDER)

/* ---- rows ---- */

/* An id from a number or a literal. */
static inline struct lynse_id number_id(uint64_t number)
{
    return (struct lynse_id){.number = number};
}
static inline struct lynse_id text_id(const char *text)
{
    return (struct lynse_id){.text = text, .text_bytes = (uint32_t)strlen(text)};
}

/* {"n": n} as msgpack; n < 128. */
struct small_fields {
    uint8_t bytes[4];
};
static inline struct small_fields fields_of(uint8_t n)
{
    return (struct small_fields){{0x81, 0xa1, 'n', n}};
}

/* `count` rows of consecutive integer ids; row i is (id, 1, 0) with fields {"n": id % 100}. */
static inline int put_numbers(struct fixture *f, uint64_t first, size_t count, bool upsert)
{
    struct lynse_write_result result;
    uint64_t *numbers = calloc(count, sizeof *numbers);
    float *vectors = calloc(count * 3, sizeof *vectors);
    struct small_fields *fields = calloc(count, sizeof *fields);
    struct lynse_bytes *slices = calloc(count, sizeof *slices);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = first + i;
        vectors[i * 3] = (float)(first + i);
        vectors[i * 3 + 1] = 1;
        fields[i] = fields_of((uint8_t)((first + i) % 100));
        slices[i] = (struct lynse_bytes){fields[i].bytes, sizeof fields[i].bytes};
    }
    struct lynse_rows rows = {
        .dim = 3, .count = count, .numbers = numbers, .vectors = vectors, .fields = slices};
    int code = upsert ? lynse_upsert(f->docs, &rows, NULL, &result, &f->err)
                      : lynse_add(f->docs, &rows, NULL, &result, &f->err);
    free(numbers);
    free(vectors);
    free(fields);
    free(slices);
    return code;
}

static inline void add_numbers(struct fixture *f, uint64_t first, size_t count)
{
    assert_done(put_numbers(f, first, count, false), f);
}

/* Let an inline root of tiny limits write out what waits. */
static inline void breathe(struct fixture *f)
{
    if (IS_TINY && f->variant->mode == LYNSE_INLINE) assert_done(lynse_sync(f->db, &f->err), f);
}

/* One row of any id; fields {"n": n}, or none when n is 0. */
static inline int put_one(struct fixture *f, struct lynse_id id, float x, uint8_t n, bool upsert)
{
    float vector[] = {x, 1, 0};
    struct small_fields map = fields_of(n);
    struct lynse_bytes fields = {map.bytes, n ? sizeof map.bytes : 0};
    struct lynse_rows rows = {
        .dim = 3, .count = 1, .ids = &id, .vectors = vector, .fields = n ? &fields : NULL};
    return upsert ? lynse_upsert(f->docs, &rows, NULL, NULL, &f->err)
                  : lynse_add(f->docs, &rows, NULL, NULL, &f->err);
}

static inline uint64_t delete_ids(struct fixture *f, const struct lynse_id *ids, size_t count)
{
    struct lynse_write_result result;
    assert_done(lynse_delete(f->docs, ids, count, NULL, &result, &f->err), f);
    return result.row_count;
}
static inline uint64_t restore_ids(struct fixture *f, const struct lynse_id *ids, size_t count)
{
    struct lynse_write_result result;
    assert_done(lynse_restore(f->docs, ids, count, NULL, &result, &f->err), f);
    return result.row_count;
}

static inline uint64_t count_rows(struct fixture *f)
{
    uint64_t count = UINT64_MAX;
    assert_done(lynse_count(f->docs, &count, &f->err), f);
    return count;
}

static inline struct lynse_collection_info info_of(struct fixture *f)
{
    struct lynse_collection_info info = {0};
    assert_done(lynse_collection_info(f->docs, &info, &f->err), f);
    assert_true(info.flushed_lsn <= info.durable_lsn && info.durable_lsn <= info.applied_lsn);
    return info;
}

static inline bool is_there(struct fixture *f, struct lynse_id id)
{
    int there = -1;
    assert_done(lynse_exists(f->docs, &id, &there, &f->err), f);
    return there == 1;
}

/* The "n" of a record's fields, 0 when it has none; fails when the record is not there. */
static inline uint8_t field_of(struct fixture *f, struct lynse_id id)
{
    struct lynse_hits *hits;
    assert_done(lynse_get(f->docs, &id, 1, LYNSE_WITH_FIELDS, &hits, &f->err), f);
    assert_int_equal(hits->count, 1);
    uint8_t n = hits->fields[0].size ? ((const uint8_t *)hits->fields[0].data)[3] : 0;
    lynse_hits_free(hits);
    return n;
}

/* The first component of a record's vector. */
static inline float vector_of(struct fixture *f, struct lynse_id id)
{
    struct lynse_hits *hits;
    assert_done(lynse_get(f->docs, &id, 1, LYNSE_WITH_VECTORS, &hits, &f->err), f);
    assert_int_equal(hits->count, 1);
    float x = hits->vectors[0];
    lynse_hits_free(hits);
    return x;
}

#endif
