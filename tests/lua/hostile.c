/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.c — scripts that mean harm: `hostile DIRECTORY [NAME]`.
 *
 * WHAT        Each file of the directory is a case: a hook that scores, prepared and run by a host
 *             with one pair of states, so that a state which was not thrown away serves the next.
 *             Its line `-- ends:` says how: stopped (by a budget), error, or quietly.  A line
 *             `--* COUNT TEXT` stands for so many times that text.  `-- hook: rerank` makes it a
 *             hook that orders two hits with all that the engine may hand over; with `-- deadline:
 *             none` a search bounds nothing, but the budget of a batch does.
 * ASSERTS     It ends as it says and, if not quietly, with HOOK or PARSE and a text; no later
 *             after its deadline than LATE_US_MAX (the largest is printed: it has to be below 10
 *             ms); within the memory of a state; after a budget was overrun nothing of the state
 *             is left; and a canary, which looks at all that scripts share, runs as before it.
 *             Time is that of the processor: what else the machine does is no fault of theirs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/check.h"
#include "codec/msgpack.h"
#include "lua/budget.h"
#include "lua/hooks.h"
#include "lua/state.h"

/* Where functions of C are slow, time is: what ends by itself has as much of it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWNESS = 5 };
#else
enum { SLOWNESS = 1 };
#endif

enum {
    DEADLINE_US = 30000,
    ROWS = 8,
    GUARD = 8, /* floats around the out array */
    LATE_US_MAX = 100000,
    FILE_BYTES_MAX = 1 << 20,
    HITS = 2,
    DIM = 32768,
    TEXT_BYTES = 400000,
    LIST_ENTRIES = 100000,
};

/* What a file's head says. */
struct header {
    char ends[16];
    bool is_rerank;
    bool has_no_deadline;
};

static const char canary_source[] =
    "local function check(what, is_right) if not is_right then error(what) end end\n"
    "return function(n, distance, field, out)\n"
    "   local names = {}\n"
    "   for name in pairs(_G) do names[#names + 1] = name end\n"
    "   check('globals', #names == 22)\n"
    "   check('texts', ('x'):upper() == 'X' and ('abc'):find('b') == 2)\n"
    "   check('the metatable of texts', getmetatable('') == false)\n"
    "   check('string', string.upper('x') == 'X' and ('%d'):format(3) == '3')\n"
    "   check('math', math.pi > 3.14 and math.pi < 3.15 and math.abs(-1) == 1)\n"
    "   check('table', table.concat({ 1, 2 }, ',') == '1,2')\n"
    "   check('bit', bit.band(3, 6) == 2)\n"
    "   check('pcall', pcall(error) == false and tostring(nil) == 'nil')\n"
    "   check('field', getmetatable(field) == false)\n"
    "   check('x1', field.x1[2] == 3 and next(field) == 'x1')\n"
    "   for i = 0, n - 1 do out[i] = distance[i] + 1 end\n"
    "end\n";

/* Memory in use, and the most that was. */
struct meter {
    size_t bytes, bytes_max;
};

static void *metered_alloc(void *ctx, size_t bytes, size_t align)
{
    struct meter *m = ctx;
    void *block = aligned_alloc(align, (bytes + align - 1) / align * align);
    if (!block) return NULL;
    m->bytes += bytes;
    if (m->bytes > m->bytes_max) m->bytes_max = m->bytes;
    return block;
}
static void metered_free(void *ctx, void *block, size_t bytes)
{
    struct meter *m = ctx;
    m->bytes -= bytes;
    free(block);
}

struct room {
    struct meter meter;
    struct alloc *alloc;
    struct hook_host *host;
    struct hook *canary;
    size_t bare_bytes; /* without any state */
    uint64_t late_us_max;
    size_t bytes_max;
};

struct outcome {
    enum hook_result result;
    uint64_t late_us;
    struct error err;
    float out[ROWS];
};

static uint64_t processor_us(const struct clock *c)
{
    struct timespec t;
    (void)c;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return ((uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u) / SLOWNESS;
}
static const struct clock processor_clock = {.monotonic_us = processor_us};

static uint64_t now_us(void)
{
    return clock_now_us(&processor_clock);
}

/* All batches of a run; fields are row + 1. */
static enum hook_result score(struct hook *hook, uint64_t deadline_us, struct outcome *o)
{
    static struct hook_wants wants;
    float guarded[ROWS + 2 * GUARD], *out = guarded + GUARD, distances[ROWS];
    double column[ROWS];
    const double *columns[HOOK_FIELDS_MAX];
    struct hook_run *run;
    enum hook_result result = HOOK_WANTS_MORE;

    for (size_t i = 0; i < ROWS; i++) {
        distances[i] = (float)i;
        column[i] = (double)i + 1;
    }
    for (size_t i = 0; i < HOOK_FIELDS_MAX; i++) columns[i] = column;
    for (size_t i = 0; i < ROWS + 2 * GUARD; i++) guarded[i] = 12345;
    memset(&wants, 0, sizeof wants);
    if (hook_begin(hook, deadline_us, &run, &o->err) != 0) return HOOK_FAILED;
    while (result == HOOK_WANTS_MORE) {
        struct hook_batch batch = {ROWS, distances, columns, wants.field_count, out};
        result = hook_score(run, &batch, &wants, &o->err);
    }
    hook_end(run);
    for (size_t i = 0; i < GUARD; i++) CHECK(guarded[i] == 12345 && out[ROWS + i] == 12345);
    for (size_t i = 0; i < ROWS; i++) CHECK(distances[i] == (float)i && column[i] == (double)i + 1);
    memcpy(o->out, out, sizeof o->out);
    return result;
}

/* {a = TEXT_BYTES times x, b = the same and y, list = numbers}; made once, kept. */
static struct slice large_document(void)
{
    static struct buf b;
    static char text[TEXT_BYTES + 1];

    if (b.size > 0) return buf_slice(&b);
    buf_init(&b, alloc_libc(), MEM_GENERAL);
    memset(text, 'x', TEXT_BYTES);
    text[TEXT_BYTES] = 'y';
    msgpack_write_map(&b, 3);
    msgpack_write_text(&b, slice_of_text("a"));
    msgpack_write_text(&b, slice_of(text, TEXT_BYTES));
    msgpack_write_text(&b, slice_of_text("b"));
    msgpack_write_text(&b, slice_of(text, TEXT_BYTES + 1));
    msgpack_write_text(&b, slice_of_text("list"));
    msgpack_write_array(&b, LIST_ENTRIES);
    for (int i = 0; i < LIST_ENTRIES; i++) msgpack_write_int(&b, i % 100);
    CHECK(buf_ok(&b));
    return buf_slice(&b);
}

static enum hook_result rerank(struct hook *hook, uint64_t deadline_us, struct outcome *o)
{
    static struct hook_wants wants;
    static float vector[DIM];
    struct slice document = large_document();
    struct hook_hit list[HITS] = {{id_of_number(1), 1, document, vector},
                                  {id_of_number(2), 2, document, vector}};
    struct hook_hits hits = {.hit_count = HITS, .hits = list, .dim = DIM};
    uint32_t places[HITS];
    struct hook_order order = {.places = places, .scores = o->out};
    struct hook_run *run;
    enum hook_result result = HOOK_WANTS_MORE;

    memset(&wants, 0, sizeof wants);
    if (hook_begin(hook, deadline_us, &run, &o->err) != 0) return HOOK_FAILED;
    while (result == HOOK_WANTS_MORE) {
        hits.parts = wants.parts;
        result = hook_rerank(run, &hits, &wants, &order, &o->err);
    }
    hook_end(run);
    CHECK(result != HOOK_DONE || order.count <= HITS);
    return result;
}

static struct outcome run_source(struct room *r, struct slice source, const struct header *h)
{
    struct outcome o = {.result = HOOK_FAILED};
    uint64_t given_us = now_us() + DEADLINE_US, deadline_us = h->has_no_deadline ? 0 : given_us;
    struct hook_desc desc = {.point = h->is_rerank ? HOOK_RERANK : HOOK_SCORE,
                             .source = source,
                             .deadline_us = deadline_us};
    struct hook *hook;

    if (hook_prepare(r->host, &desc, &hook, &o.err) == 0) {
        o.result = h->is_rerank ? rerank(hook, deadline_us, &o) : score(hook, deadline_us, &o);
        hook_destroy(hook);
    }
    /* A batch has its own time, and may have it to the end. */
    deadline_us = h->has_no_deadline ? given_us - DEADLINE_US + BUDGET_US : given_us;
    uint64_t ended_us = now_us();
    o.late_us = ended_us > deadline_us ? ended_us - deadline_us : 0;
    return o;
}

/* NULL, or what is wrong. */
static const char *check_canary(struct room *r)
{
    static char text[ERROR_TEXT_BYTES + 16];
    struct outcome o;

    if (score(r->canary, 0, &o) != HOOK_DONE) {
        snprintf(text, sizeof text, "canary: %s", o.err.text);
        return text;
    }
    for (size_t i = 0; i < ROWS; i++)
        if (o.out[i] != (float)i + 1) return "canary: another answer";
    return NULL;
}

static bool is_stop(const struct error *err)
{
    return err->code == LYNSE_HOOK &&
           (strstr(err->text, "stopped") || strstr(err->text, "than the limit"));
}

/* NULL, or what is wrong. */
static const char *check_outcome(struct room *r, const char *ends, const struct outcome *o)
{
    static char text[ERROR_TEXT_BYTES + 64];
    const char *how = o->result == HOOK_DONE ? "quietly" : is_stop(&o->err) ? "stopped" : "error";

    snprintf(text, sizeof text, "ends %s: %s", how, o->result == HOOK_DONE ? "" : o->err.text);
    if (strcmp(how, ends) != 0) return text;
    if (o->result != HOOK_DONE && o->err.code != LYNSE_HOOK && o->err.code != LYNSE_PARSE)
        return text;
    if (o->result == HOOK_DONE && o->out[0] == -1) return "reached what it must not";
    if (o->late_us > LATE_US_MAX) return "late";
    if (r->meter.bytes_max - r->bare_bytes > STATE_BYTES_MAX + FILE_BYTES_MAX)
        return "more memory than a state may have";
    if (is_stop(&o->err) && o->result != HOOK_DONE && alloc_used_bytes(r->alloc) != r->bare_bytes)
        return "something is left of its state";
    return check_canary(r);
}

/* ---- Files ---- */

/* The file's source with its repetitions written out, and what its head says. */
static char *read_source(const char *path, size_t *out_size, struct header *h)
{
    static char line[4096];
    char *source = malloc(FILE_BYTES_MAX);
    size_t size = 0, count;
    char text[256];
    FILE *file = fopen(path, "rb");

    if (!file || !source) exit(2);
    *h = (struct header){0};
    while (size < FILE_BYTES_MAX - sizeof line) {
        size_t length = 0;
        int c = 0;
        while (length < sizeof line - 1 && c != '\n' && (c = fgetc(file)) != EOF)
            line[length++] = (char)c;
        line[length] = '\0';
        if (length == 0) break;
        if (!h->ends[0]) sscanf(line, "-- ends: %15s", h->ends);
        if (strcmp(line, "-- hook: rerank\n") == 0) h->is_rerank = true;
        if (strcmp(line, "-- deadline: none\n") == 0) h->has_no_deadline = true;
        if (sscanf(line, "--* %zu %255[^\n]", &count, text) == 2) {
            size_t step = strlen(text) + 1;
            for (size_t i = 0; i < count && size + step < FILE_BYTES_MAX / 2; i++, size += step) {
                memcpy(source + size, text, step - 1);
                source[size + step - 1] = ' ';
            }
            continue;
        }
        memcpy(source + size, line, length);
        size += length;
    }
    fclose(file);
    *out_size = size;
    return source;
}

static bool run_file(struct room *r, const char *folder, const char *name)
{
    char path[1024];
    struct header h;
    size_t size;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *source = read_source(path, &size, &h);
    r->meter.bytes_max = r->meter.bytes;
    struct outcome o = run_source(r, slice_of(source, size), &h);
    const char *wrong = check_outcome(r, h.ends, &o);
    if (wrong) printf("%s: %s (%llu us late)\n", name, wrong, (unsigned long long)o.late_us);
    if (o.late_us > 10000) printf("%s: %llu us late\n", name, (unsigned long long)o.late_us);
    if (o.late_us > r->late_us_max) r->late_us_max = o.late_us;
    if (r->meter.bytes_max - r->bare_bytes > r->bytes_max)
        r->bytes_max = r->meter.bytes_max - r->bare_bytes;
    free(source);
    return !wrong;
}

static void open_room(struct room *r)
{
    struct alloc_hooks hooks = {metered_alloc, metered_free, &r->meter};
    struct error err = {0};

    r->alloc = alloc_create(&hooks, 0);
    CHECK(r->alloc);
    struct lua_host_desc host = {.alloc = r->alloc, .clock = &processor_clock, .pair_max = 1};
    CHECK(lua_host_create(&host, &r->host, &err) == 0);
    struct hook_desc canary = {.point = HOOK_SCORE, .source = slice_of_text(canary_source)};
    if (hook_prepare(r->host, &canary, &r->canary, &err) != 0) printf("%s\n", err.text);
    CHECK(r->canary);
    /* A state that is stopped is thrown away, and with it the only pair. */
    const struct header plain = {0};
    struct outcome o = run_source(r, slice_of_text("function() while true do end end"), &plain);
    CHECK(o.result == HOOK_FAILED);
    r->bare_bytes = alloc_used_bytes(r->alloc);
}

int main(int argc, char **argv)
{
    static struct room room;
    struct dirent **entries = NULL;
    int passed = 0, failed = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s DIRECTORY [NAME]\n", argv[0]);
        return 2;
    }
    open_room(&room);
    int count = scandir(argv[1], &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        bool is_wanted = name[0] != '.' && (argc < 3 || strstr(name, argv[2]));
        if (is_wanted && run_file(&room, argv[1], name)) passed++;
        else if (is_wanted) failed++;
        free(entries[i]);
    }
    free(entries);
    hook_destroy(room.canary);
    lua_host_destroy(room.host);
    if (alloc_used_bytes(room.alloc) != 0) failed++;
    alloc_destroy(room.alloc);
    printf("latest: %llu us after its deadline; most memory: %zu bytes\n",
           (unsigned long long)room.late_us_max, room.bytes_max);
    printf("cases: %d passed, %d failed\n", passed, failed);
    return failed || passed == 0;
}
