/* SPDX-License-Identifier: Apache-2.0 */
/* bench_ann.c — one index over one set of vectors, built and searched as told on stdin.
 *
 * WHAT        Any index mode, through the table of index kinds alone: what has a line in
 *             index_kinds.h can be measured.  The index is built by pieces on several threads,
 *             written to an image in memory, opened from it, and searched: one segment, no engine.
 *             FLAT without codes has no image: it reads the vectors, through their shadow.
 *             bench/ann.py drives this program and the peers' (support/ann_peer.py) alike.
 * USAGE       bench_ann FOLDER MODE [NAME=VALUE]...
 *             FOLDER has base.f32 and queries.f32, rows of floats, and `shape`: dim, rows, queries.
 *             The names are those of the mode's build parameters; shadow=0: FLAT without one.
 * COMMANDS    A line each: a word, then name=value, in any order; the answer is a line.
 *                 build threads=2 image=FILE            built SECONDS processor SECONDS bytes
 *                                                       BYTES: from the vectors, and kept in the
 *                                                       file; as it was, where there is the file
 *                 gate path=FILE                        open COUNT: bit i of the file set = row i
 *                                                       may be found; path=-: all may
 *                 search k=10 effort=50 oversample=0 first=0 end=1000 batch=1 threads=1 times=1
 *                        out=FILE                       searched SECONDS processor SECONDS, of
 *                                                       all queries once: the best of so many times
 *                 limit k=10 effort=50 first=0 end=32   distances COUNT row ROW_BYTES read BYTES
 *                                                       read2 BYTES gather SECONDS multiply FLOPS:
 *                                                       how many distances a query takes of rows of
 *                                                       so many bytes, and what this machine does
 *                                                       in a second at most (probes.h)
 *             batch: queries that one search object gets; 0: all of its thread's.  out: rows as
 *             int32, k a query, -1 where there is none; -: nowhere.
 * FAILURE     Says why on stderr, and ends.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/thread.h"
#include "index/index_build.h"
#include "index/index_mode.h"
#include "memory_image.h"
#include "probes.h"
#include "simd/metrics.h"

enum { THREADS_MAX = 16, PATH_BYTES = 512, LINE_BYTES = 1024 };

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "bench_ann: %s\n", why);
    exit(1);
}

static void check_fine(int rc, const struct error *err)
{
    if (rc != 0) give_up(err->text);
}

static void *take_memory(size_t bytes)
{
    void *memory =
        mem_alloc_aligned(alloc_libc(), MEM_GENERAL, bytes > 0 ? bytes : 1, ALIGN_VECTOR);
    if (!memory) give_up("no memory");
    return memory;
}

static double now_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- The data ---- */

struct bed {
    uint32_t dim, row_count, query_count;
    float *queries, *query_norms;
    struct vector_source vectors;
    struct shadow_source shadow;
    struct shadow_rows packed;
    uint64_t *open; /* of the gate; NULL: there is none */
    uint32_t open_count;

    struct index_mode mode;
    const struct index_vtab *kind;
    struct index_params params;
    bool has_shadow, needs_build;
    struct memory_image image;
    struct alloc *index_alloc;
    struct index *index; /* NULL: the kind has none */
};

static float *read_file(const char *folder, const char *name, size_t bytes)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
    FILE *file = fopen(path, "rb");
    float *out = take_memory(bytes);
    if (!file || fread(out, 1, bytes, file) != bytes) give_up(path);
    fclose(file);
    return out;
}

static int run_of(const struct vector_source *s, uint32_t row, uint32_t row_max,
                  struct vector_run *out, struct error *err)
{
    (void)err;
    *out = (struct vector_run){s->all + (size_t)row * s->dim, s->all_norms + row, row_max};
    return 0;
}

static float *norms_of(const float *vectors, uint32_t count, uint32_t dim)
{
    float *out = take_memory(count * sizeof *out);
    for (uint32_t i = 0; i < count; i++)
        out[i] = dense_norm_f32(kernels_active(), vectors + (size_t)i * dim, dim);
    return out;
}

static void read_data(struct bed *b, const char *folder)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/shape", folder);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%u %u %u", &b->dim, &b->row_count, &b->query_count) != 3)
        give_up(path);
    fclose(file);
    size_t row_bytes = b->dim * sizeof(float);
    float *vectors = read_file(folder, "base.f32", b->row_count * row_bytes);
    b->queries = read_file(folder, "queries.f32", b->query_count * row_bytes);
    b->query_norms = norms_of(b->queries, b->query_count, b->dim);
    b->vectors = (struct vector_source){.run = run_of,
                                        .dim = b->dim,
                                        .all = vectors,
                                        .all_norms = norms_of(vectors, b->row_count, b->dim)};
}

static void shadow_run_of(struct shadow_source *s, uint32_t row, uint32_t row_max,
                          uint32_t *make_max, struct shadow_run *out)
{
    const struct bed *b = (const struct bed *)(void *)((char *)s - offsetof(struct bed, shadow));
    (void)make_max;
    *out = (struct shadow_run){
        .codes = b->packed.codes + row * code_stride(b->dim),
        .rests = {b->packed.scales + row, b->packed.errors + row, b->packed.norms + row},
        .row_count = row_max,
    };
}

static void make_shadow(struct bed *b)
{
    size_t floats = b->row_count * sizeof(float);
    b->packed = (struct shadow_rows){take_memory(b->row_count * code_stride(b->dim)),
                                     take_memory(floats), take_memory(floats), take_memory(floats)};
    shadow_pack(kernels_active(), b->vectors.all, b->vectors.all_norms, b->row_count, b->dim,
                &b->packed);
    b->shadow.run = shadow_run_of;
}

static void read_mode(struct bed *b, int argc, char **argv)
{
    struct error err = {0};
    check_fine(index_mode_parse(argv[0], &b->mode, &err), &err);
    b->kind = index_find(b->mode.kind);
    index_params_init(b->kind, &b->params);
    b->needs_build = index_is_built(b->kind, b->mode.quantizer.kind);
    b->has_shadow = !b->needs_build;
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) give_up(argv[i]);
        *value++ = '\0';
        if (strcmp(argv[i], "shadow") == 0) b->has_shadow = atoi(value) != 0;
        else
            check_fine(index_params_set(b->kind, &b->params, slice_of_text(argv[i]),
                                        strtod(value, NULL), &err),
                       &err);
    }
}

/* ---- Building ---- */

struct pieces {
    const struct index_build_ops *ops;
    struct index_build *build;
    uint32_t count, next;
};

static void run_pieces(void *ctx)
{
    struct pieces *p = (struct pieces *)ctx;
    struct error err = {0};
    for (;;) {
        uint32_t piece = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED);
        if (piece >= p->count) return;
        check_fine(p->ops->run(p->build, piece, &err), &err);
    }
}

static void run_phases(const struct index_build_ops *ops, struct index_build *build,
                       unsigned thread_count)
{
    struct error err = {0};
    for (;;) {
        struct pieces p = {.ops = ops, .build = build, .count = ops->piece_count(build)};
        struct thread threads[THREADS_MAX] = {{0}};
        if (p.count == 0) return;
        unsigned others = p.count < thread_count ? p.count : thread_count;
        for (unsigned i = 1; i < others; i++)
            check_fine(thread_start(&threads[i], "build", run_pieces, &p, &err), &err);
        run_pieces(&p);
        for (unsigned i = 1; i < others; i++) thread_join(&threads[i]);
        check_fine(ops->turn(build, &err), &err);
    }
}

static void build_index(struct bed *b, unsigned thread_count)
{
    struct error err = {0};
    const struct index_build_ops *ops = b->kind->build;
    struct index_build *build;
    struct index_build_desc desc = {
        .alloc = alloc_libc(),
        .kernels = kernels_active(),
        .vectors = &b->vectors,
        .params = &b->params,
        .quantizer = b->mode.quantizer,
        .metric = b->mode.metric,
        .row_count = b->row_count,
        .seed = 1,
    };
    check_fine(ops->create(&desc, &build, &err), &err);
    run_phases(ops, build, thread_count);
    check_fine(ops->save(build, &b->image.writer, &err), &err);
    ops->destroy(build);
}

static void open_index(struct bed *b)
{
    struct error err = {0};
    struct index_open_desc desc = {
        .alloc = b->index_alloc,
        .kernels = kernels_active(),
        .image = &b->image.image,
        .params = &b->params,
        .metric = b->mode.metric,
        .dim = b->dim,
        .row_count = b->row_count,
    };
    check_fine(b->kind->open(&desc, &b->index, &err), &err);
}

/* From the vectors to an image; what that took, now or when it was kept. */
static void make_image(struct bed *b, unsigned thread_count, const char *path, double seconds[2])
{
    double begin = now_seconds(CLOCK_MONOTONIC), begun = now_seconds(CLOCK_PROCESS_CPUTIME_ID);
    bool is_kept = strcmp(path, "-") != 0;
    memory_image_init(&b->image);
    if (is_kept && memory_image_load(&b->image, path, seconds)) return;
    build_index(b, thread_count);
    seconds[0] = now_seconds(CLOCK_MONOTONIC) - begin;
    seconds[1] = now_seconds(CLOCK_PROCESS_CPUTIME_ID) - begun;
    if (is_kept) memory_image_save(&b->image, path, seconds);
}

/* To an index that can be searched. */
static void command_build(struct bed *b, unsigned thread_count, const char *path)
{
    double seconds[2] = {0}, begin, begun;
    size_t bytes = 0;
    bool is_new = b->needs_build && !b->index;
    if (is_new) make_image(b, thread_count, path, seconds);
    begin = now_seconds(CLOCK_MONOTONIC);
    begun = now_seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (is_new) {
        b->index_alloc = alloc_create(NULL, 0);
        open_index(b);
    }
    if (b->has_shadow && !b->shadow.run) make_shadow(b);
    seconds[0] += now_seconds(CLOCK_MONOTONIC) - begin;
    seconds[1] += now_seconds(CLOCK_PROCESS_CPUTIME_ID) - begun;
    if (b->index_alloc) bytes = memory_image_bytes(&b->image) + alloc_used_bytes(b->index_alloc);
    if (b->has_shadow) bytes += b->row_count * (code_stride(b->dim) + 3 * sizeof(float));
    printf("built %.6f processor %.6f bytes %zu\n", seconds[0], seconds[1], bytes);
}

/* ---- Searching ---- */

struct order {
    uint32_t k, first, end, batch, thread_count, times;
    struct index_options options;
    char out[PATH_BYTES];
};

struct worker {
    const struct bed *bed;
    const struct order *order;
    uint32_t first, end; /* queries */
    int32_t *rows;       /* of all queries of the order */
    void *search;
    char *oracles, *exacts; /* of a batch */
    struct index_query *queries;
    struct topk *best;
    struct candidate *heaps;
};

static uint64_t shut_word(void *ctx, uint32_t row)
{
    return ~((const uint64_t *)ctx)[row / 64];
}

static const struct quantizer_vtab *exact_quantizer(const struct bed *b)
{
    return b->has_shadow ? &quantizer_shadowed : &quantizer_raw;
}

static void set_up(struct worker *w)
{
    const struct bed *b = w->bed;
    size_t count = w->order->batch, k = w->order->k;
    size_t own = b->index ? b->kind->oracle_bytes(b->index, b->dim) : 0;
    w->search = take_memory(b->kind->search_bytes(b->index, &w->order->options, k, count));
    w->oracles = take_memory(count * own);
    w->exacts = take_memory(count * exact_quantizer(b)->oracle_bytes(b->dim));
    w->queries = take_memory(count * sizeof *w->queries);
    w->best = take_memory(count * sizeof *w->best);
    w->heaps = take_memory(count * k * sizeof *w->heaps);
}

static void tear_down(struct worker *w)
{
    void *const blocks[] = {w->search, w->oracles, w->exacts, w->queries, w->best, w->heaps};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) mem_free(alloc_libc(), blocks[i]);
}

static void make_query(struct worker *w, size_t place, uint32_t query)
{
    const struct bed *b = w->bed;
    uint32_t k = w->order->k;
    const struct quantizer_vtab *quantizer = exact_quantizer(b);
    struct oracle_desc desc = {
        .kernels = kernels_active(),
        .query = {b->queries + (size_t)query * b->dim, b->query_norms[query]},
        .vectors = &b->vectors,
        .shadow = b->has_shadow ? (struct shadow_source *)(uintptr_t)&b->shadow : NULL,
        .metric = b->mode.metric,
    };
    struct oracle *exact =
        quantizer->oracle_init(w->exacts + place * quantizer->oracle_bytes(b->dim), &desc);
    struct oracle *own = exact;
    if (b->index) {
        size_t bytes = b->kind->oracle_bytes(b->index, b->dim);
        own = b->kind->oracle_init(b->index, w->oracles + place * bytes, &desc);
    }
    topk_init_at(&w->best[place], w->heaps + place * k, k, topk_lower_row, NULL);
    w->queries[place] = (struct index_query){
        .oracle = own, .exact = exact, .best = &w->best[place], .distance_max = INFINITY};
}

static void search_batch(struct worker *w, uint32_t first, uint32_t count)
{
    const struct bed *b = w->bed;
    struct error err = {0};
    struct index_search_desc desc = {
        .index = b->index,
        .queries = w->queries,
        .query_count = count,
        .options = w->order->options,
        .row_end = b->row_count,
    };
    if (b->open)
        desc.gate = (struct index_gate){.shut_word = shut_word,
                                        .ctx = b->open,
                                        .comes_first = true,
                                        .open_count = b->open_count,
                                        .open_bits = b->open};
    for (uint32_t i = 0; i < count; i++) make_query(w, i, first + i);
    b->kind->begin(w->search, &desc);
    if (b->kind->advance(w->search, UINT64_MAX, &err) != INDEX_DONE) give_up(err.text);
    for (uint32_t i = 0; i < count; i++) {
        int32_t *to = w->rows + (size_t)(first + i - w->order->first) * w->order->k;
        topk_sort(&w->best[i]);
        for (size_t j = 0; j < w->order->k; j++)
            to[j] = j < w->best[i].count ? (int32_t)w->best[i].heap[j].row : -1;
    }
}

static void search_all(void *ctx)
{
    struct worker *w = (struct worker *)ctx;
    for (uint32_t at = w->first; at < w->end; at += w->order->batch) {
        uint32_t left = w->end - at;
        search_batch(w, at, left < w->order->batch ? left : w->order->batch);
    }
}

struct took {
    double seconds, processor_seconds;
};

static struct took search_once(struct worker *workers, unsigned thread_count)
{
    struct thread threads[THREADS_MAX] = {{0}};
    struct error err = {0};
    double begin = now_seconds(CLOCK_MONOTONIC);
    double processor_begin = now_seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 1; i < thread_count; i++)
        check_fine(thread_start(&threads[i], "search", search_all, &workers[i], &err), &err);
    search_all(&workers[0]);
    for (unsigned i = 1; i < thread_count; i++) thread_join(&threads[i]);
    return (struct took){now_seconds(CLOCK_MONOTONIC) - begin,
                         now_seconds(CLOCK_PROCESS_CPUTIME_ID) - processor_begin};
}

static void write_rows(const char *path, const int32_t *rows, size_t count)
{
    if (strcmp(path, "-") == 0) return;
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(rows, sizeof *rows, count, file) != count || fclose(file) != 0)
        give_up(path);
}

static void command_search(const struct bed *b, struct order *o)
{
    struct worker workers[THREADS_MAX] = {{0}};
    uint32_t count = o->end - o->first;
    uint32_t share = (count + o->thread_count - 1) / o->thread_count;
    size_t row_count = (size_t)count * o->k;
    int32_t *rows = take_memory(row_count * sizeof *rows);
    struct took best = {INFINITY, INFINITY};

    if (o->batch == 0 || o->batch > share) o->batch = share;
    if (b->index && b->kind->query_group > 0 && o->batch > b->kind->query_group)
        o->batch = b->kind->query_group; /* as the engine does */
    for (unsigned i = 0; i < o->thread_count; i++) {
        uint32_t first = o->first + i * share, end = first + share;
        workers[i] = (struct worker){
            .bed = b, .order = o, .first = first, .end = end < o->end ? end : o->end, .rows = rows};
        set_up(&workers[i]);
    }
    for (uint32_t i = 0; i < o->times; i++) {
        struct took took = search_once(workers, o->thread_count);
        best.seconds = fmin(best.seconds, took.seconds);
        best.processor_seconds = fmin(best.processor_seconds, took.processor_seconds);
    }
    for (unsigned i = 0; i < o->thread_count; i++) tear_down(&workers[i]);
    write_rows(o->out, rows, row_count);
    mem_free(alloc_libc(), rows);
    printf("searched %.9f processor %.9f\n", best.seconds, best.processor_seconds);
}

/* ---- Limits ---- */

/* Does a query end within so many distances, in one advance? */
static bool ends_within(struct worker *w, uint32_t query, uint64_t distance_max)
{
    const struct bed *b = w->bed;
    struct error err = {0};
    struct index_search_desc desc = {
        .index = b->index,
        .queries = w->queries,
        .query_count = 1,
        .options = w->order->options,
        .row_end = b->row_count,
    };
    make_query(w, 0, query);
    b->kind->begin(w->search, &desc);
    return b->kind->advance(w->search, distance_max, &err) == INDEX_DONE;
}

/* An index counts no distances, but stops when it has spent those that it was given: the least
 * budget that a query ends within, on average. */
static double distances_a_query(struct worker *w, const struct order *o)
{
    uint64_t sum = 0;
    for (uint32_t query = o->first; query < o->end; query++) {
        uint64_t low = 0, high = 1;
        while (!ends_within(w, query, high)) low = high, high *= 2;
        while (high - low > 1 + high / 100) {
            uint64_t middle = low + (high - low) / 2;
            if (ends_within(w, query, middle)) high = middle;
            else low = middle;
        }
        sum += high;
    }
    return (double)sum / (o->end - o->first);
}

static void command_limit(const struct bed *b, struct order *o)
{
    struct worker worker = {.bed = b, .order = o};
    const float *all = b->vectors.all;
    size_t floats = (size_t)b->row_count * b->dim / PROBE_FLOATS * PROBE_FLOATS;
    o->batch = 1;
    set_up(&worker);
    make_query(&worker, 0, o->first);
    size_t row_bytes = worker.queries[0].oracle->row_bytes;
    size_t row_count = floats * sizeof *all / row_bytes;
    if (row_count > b->row_count) row_count = b->row_count; /* of the room that codes take */
    double count = distances_a_query(&worker, o);
    tear_down(&worker);
    printf("distances %.1f row %zu read %.6g read2 %.6g gather %.6g multiply %.6g\n", count,
           row_bytes, probe_read_rate(all, floats, 1), probe_read_rate(all, floats, 2),
           probe_gather_seconds(all, row_count, row_bytes), probe_multiply_rate());
}

static void command_gate(struct bed *b, const char *path)
{
    uint64_t count = 0;
    size_t words = ((size_t)b->row_count + 63) / 64;
    mem_free(alloc_libc(), b->open);
    b->open = strcmp(path, "-") == 0 ? NULL : (uint64_t *)(void *)read_file("", path, words * 8);
    for (size_t i = 0; b->open && i < words; i++)
        count += (uint64_t)__builtin_popcountll(b->open[i]);
    b->open_count = (uint32_t)count;
    printf("open %llu\n", (unsigned long long)count);
}

/* ---- Commands ---- */

/* The value of a name in the line, or what stands in its place. */
static double value_of(const char *line, const char *name, double otherwise)
{
    size_t length = strlen(name);
    for (const char *at = strchr(line, ' '); at; at = strchr(at + 1, ' '))
        if (strncmp(at + 1, name, length) == 0 && at[length + 1] == '=')
            return strtod(at + length + 2, NULL);
    return otherwise;
}

static void text_of(const char *line, const char *name, char out[PATH_BYTES])
{
    size_t length = strlen(name);
    snprintf(out, PATH_BYTES, "-");
    for (const char *at = strchr(line, ' '); at; at = strchr(at + 1, ' '))
        if (strncmp(at + 1, name, length) == 0 && at[length + 1] == '=')
            snprintf(out, PATH_BYTES, "%.*s", (int)strcspn(at + length + 2, " \n"),
                     at + length + 2);
}

static void read_order(const struct bed *b, const char *line, struct order *o)
{
    *o = (struct order){
        .k = (uint32_t)value_of(line, "k", 10),
        .first = (uint32_t)value_of(line, "first", 0),
        .end = (uint32_t)value_of(line, "end", b->query_count),
        .batch = (uint32_t)value_of(line, "batch", 1),
        .thread_count = (uint32_t)value_of(line, "threads", 1),
        .times = (uint32_t)value_of(line, "times", 1),
        .options = {.effort = (uint32_t)value_of(line, "effort", 0),
                    .oversample = (float)value_of(line, "oversample", 0)},
    };
    text_of(line, "out", o->out);
    uint32_t count = o->end - o->first;
    if (o->k < 1 || o->times < 1 || o->first >= o->end || o->end > b->query_count ||
        o->thread_count < 1 || o->thread_count > THREADS_MAX || o->thread_count > count)
        give_up(line);
}

int main(int argc, char **argv)
{
    static struct bed b;
    static char line[LINE_BYTES], path[PATH_BYTES];
    struct order order;

    if (argc < 3) give_up("usage: bench_ann FOLDER MODE [NAME=VALUE]...");
    read_mode(&b, argc - 2, argv + 2);
    read_data(&b, argv[1]);
    while (fgets(line, sizeof line, stdin)) {
        unsigned thread_count = (unsigned)value_of(line, "threads", 1);
        if (strncmp(line, "build", 5) == 0) {
            text_of(line, "image", path);
            command_build(&b, thread_count < THREADS_MAX ? thread_count : THREADS_MAX, path);
        } else if (strncmp(line, "gate", 4) == 0) {
            text_of(line, "path", path);
            command_gate(&b, path);
        } else if (strncmp(line, "search", 6) == 0) {
            read_order(&b, line, &order);
            command_search(&b, &order);
        } else if (strncmp(line, "limit", 5) == 0) {
            read_order(&b, line, &order);
            command_limit(&b, &order);
        } else {
            give_up(line);
        }
        fflush(stdout);
    }
    return 0;
}
