/* SPDX-License-Identifier: Apache-2.0 */
/* loader.c — scripts that have names: those that come along, and those of an operator's folder.
 *
 * WHAT        The embedded scripts are taken as they lie in the library, those of the folder are
 *             read when the loader is opened: no search touches a disk, and a file that is edited
 *             meanwhile changes nothing that runs.
 * INVARIANTS  (1) Sorted by point and name; a name is there once for a point.
 * THREADS     Any: nothing changes after loader_open.
 * FAILURE     loader_open takes all of a folder or fails, and names the file.
 */
#include "lua/loader.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "codec/quote.h"
#include "lua/builtin.h"
#include "lua/script_folder.h"

struct loader {
    struct alloc *alloc;
    size_t count, room;
    struct loader_script *scripts;
};

static const char *const point_words[] = {
#define POINT_WORD(name, word) word,
    HOOK_POINTS(POINT_WORD)
#undef POINT_WORD
};
enum { POINTS = sizeof point_words / sizeof *point_words };

/* ---- The table ---- */

static int compare(const struct loader_script *s, enum hook_point point, struct slice name)
{
    if (s->point != point) return s->point < point ? -1 : 1;
    size_t size = s->name.size < name.size ? s->name.size : name.size;
    int order = memcmp(s->name.data, name.data, size);
    if (order != 0) return order;
    return (s->name.size > name.size) - (s->name.size < name.size);
}

/* Where the script is, or would be. */
static size_t place_of(const struct loader *l, enum hook_point point, struct slice name)
{
    size_t i = 0;
    while (i < l->count && compare(&l->scripts[i], point, name) < 0) i++;
    return i;
}

static void forget(struct loader *l, struct loader_script *s)
{
    if (!s->is_ours) mem_free(l->alloc, (void *)s->path); /* and with it the source */
}

/* The script takes the place of the one that has its name. */
static int put(struct loader *l, const struct loader_script *s, struct error *err)
{
    size_t at = place_of(l, s->point, s->name);

    if (at < l->count && compare(&l->scripts[at], s->point, s->name) == 0) {
        forget(l, &l->scripts[at]);
        l->scripts[at] = *s;
        return 0;
    }
    if (l->count == LOADER_SCRIPTS_MAX)
        return error_set(err, LYNSE_LIMIT, "%s: more than %d scripts", s->path, LOADER_SCRIPTS_MAX);
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 16;
        void *grown = mem_resize(l->alloc, MEM_SCRIPT, l->scripts, room * sizeof *l->scripts);
        if (!grown) return error_no_memory(err, room * sizeof *l->scripts);
        l->scripts = grown;
        l->room = room;
    }
    memmove(l->scripts + at + 1, l->scripts + at, (l->count - at) * sizeof *l->scripts);
    l->scripts[at] = *s;
    l->count++;
    return 0;
}

/* The number of a line `-- version: N` among the comments that the source begins with. */
static int read_version(struct loader_script *s, struct error *err)
{
    static const char mark[] = "-- version: ";
    const char *at = (const char *)s->source.data, *end = at + s->source.size;

    while (end - at > 2 && at[0] == '-' && at[1] == '-') {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) line_end = end;
        if ((size_t)(line_end - at) >= sizeof mark - 1 && memcmp(at, mark, sizeof mark - 1) == 0) {
            const char *digit = at + sizeof mark - 1;
            for (; digit < line_end && *digit >= '0' && *digit <= '9' && s->version < 100000000;)
                s->version = s->version * 10 + (unsigned)(*digit++ - '0');
            if (digit == line_end && s->version > 0) return 0;
            return error_set(err, LYNSE_INVALID,
                             "%s: its line '-- version:' has no number from 1 to 999999999",
                             s->path);
        }
        at = line_end < end ? line_end + 1 : end;
    }
    return 0;
}

/* With all else that is known of it by its path and source. */
static int add(struct loader *l, enum hook_point point, const char *path, struct slice source,
               bool is_ours, struct error *err)
{
    struct loader_script s = {
        .point = point,
        .path = path,
        .name = slice_of_text(path + strlen(point_words[point]) + 1),
        .source = source,
        .hash = hash_xxh3_128(source.data, source.size),
        .is_ours = is_ours,
    };
    return read_version(&s, err) == 0 ? put(l, &s, err) : -1;
}

static int add_ours(struct loader *l, struct error *err)
{
    for (const struct builtin_script *b = builtin_scripts; b->path; b++) {
        for (unsigned point = 0; point < POINTS; point++) {
            size_t size = strlen(point_words[point]);
            if (strncmp(b->path, point_words[point], size) != 0 || b->path[size] != '/') continue;
            if (add(l, point, b->path, slice_of(b->source, b->size), true, err) != 0) return -1;
        }
    }
    return 0;
}

/* ---- A folder ---- */

struct taking {
    struct loader *loader;
    enum hook_point point;
};

static int take_script(void *ctx, const char *path, struct slice source, struct error *err)
{
    const struct taking *t = ctx;
    return add(t->loader, t->point, path, source, false, err);
}

static int add_folder(struct loader *l, const char *path, struct error *err)
{
    struct script_folder folder = {.alloc = l->alloc,
                                   .path = path,
                                   .file_bytes_max = HOOK_SOURCE_BYTES_MAX,
                                   .bytes_max = LOADER_FOLDER_BYTES_MAX};
    int rc = 0;

    for (unsigned point = 0; rc == 0 && point < POINTS; point++) {
        struct taking taking = {l, point};
        rc = script_folder_read(&folder, point_words[point], take_script, &taking, err);
    }
    return rc;
}

int loader_open(struct alloc *a, const char *folder, struct loader **out, struct error *err)
{
    struct loader *l = mem_zalloc(a, MEM_SCRIPT, sizeof *l);

    if (!l) return error_no_memory(err, sizeof *l);
    l->alloc = a;
    if (add_ours(l, err) != 0 || (folder && add_folder(l, folder, err) != 0)) {
        loader_close(l);
        return -1;
    }
    *out = l;
    return 0;
}

void loader_close(struct loader *l)
{
    if (!l) return;
    for (size_t i = 0; i < l->count; i++) forget(l, &l->scripts[i]);
    mem_free(l->alloc, l->scripts);
    mem_free(l->alloc, l);
}

const struct loader_script *loader_scripts(const struct loader *l, size_t *out_count)
{
    *out_count = l->count;
    return l->scripts;
}

/* ---- Finding ---- */

bool loader_is_name(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && (i == 0 || ((c < '0' || c > '9') && c != '-'))) return false;
    }
    return text.size > 0;
}

static int lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* How many letters are to be changed, put in or left out to make one of the other; the size of a
 * letter is none.  Names of LOADER_NAME_BYTES_MAX at the most. */
static size_t distance(struct slice a, struct slice b)
{
    size_t row[LOADER_NAME_BYTES_MAX + 1];

    CHECK(a.size <= LOADER_NAME_BYTES_MAX && b.size <= LOADER_NAME_BYTES_MAX);
    for (size_t k = 0; k <= b.size; k++) row[k] = k;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b.size; k++) {
            size_t changed = diagonal + (lower(a.data[i - 1]) != lower(b.data[k - 1]));
            diagonal = row[k];
            size_t other = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            row[k] = changed < other ? changed : other;
        }
    }
    return row[b.size];
}

/* NULL: none looks like it. */
static const struct loader_script *most_alike(const struct loader *l, enum hook_point point,
                                              struct slice name)
{
    const struct loader_script *best = NULL;
    size_t nearest = 3; /* two letters at the most, and fewer than are right */

    if (name.size > LOADER_NAME_BYTES_MAX) return NULL;
    for (size_t i = 0; i < l->count; i++) {
        const struct loader_script *s = &l->scripts[i];
        size_t d = s->point == point ? distance(name, s->name) : nearest;
        if (d >= nearest || d >= s->name.size) continue;
        nearest = d;
        best = s;
    }
    return best;
}

/* "boost, mmr, recency", as many as there is room for; "none". */
static void list_names(const struct loader *l, enum hook_point point, char *out, size_t out_bytes)
{
    size_t size = 0, left = 0;

    for (size_t i = 0; i < l->count; i++) {
        const struct loader_script *s = &l->scripts[i];
        if (s->point != point) continue;
        if (left > 0 || size + s->name.size + 24 > out_bytes) left++;
        else
            size += (size_t)snprintf(out + size, out_bytes - size, "%s%.*s", size ? ", " : "",
                                     (int)s->name.size, (const char *)s->name.data);
    }
    if (left > 0) snprintf(out + size, out_bytes - size, " and %zu more", left);
    else if (size == 0) snprintf(out, out_bytes, "none");
}

int loader_find(const struct loader *l, enum hook_point point, struct slice name,
                const struct loader_script **out, struct error *err)
{
    char quoted[QUOTE_BYTES], names[96], guess[LOADER_NAME_BYTES_MAX + 24] = "";
    size_t at = place_of(l, point, name);

    if (at < l->count && compare(&l->scripts[at], point, name) == 0) {
        *out = &l->scripts[at];
        return 0;
    }
    const struct loader_script *alike = most_alike(l, point, name);
    if (alike)
        snprintf(guess, sizeof guess, ": did you mean '%.*s'?", (int)alike->name.size,
                 (const char *)alike->name.data);
    list_names(l, point, names, sizeof names);
    return error_set(err, LYNSE_NOT_FOUND, "%s: no script is called %s%s There are: %s",
                     point_words[point], quote_text(name, quoted, sizeof quoted),
                     alike ? guess : ".", names);
}
