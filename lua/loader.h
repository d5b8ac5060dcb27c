/* SPDX-License-Identifier: Apache-2.0 */
/* loader.h — scripts that have names: those that come along, and those of an operator's folder.
 *
 * A loader is read once and does not change.  THREADS  Any.
 */
#ifndef LUA_LOADER_H
#define LUA_LOADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/slice.h"
#include "lua/script_folder.h"
#include "query/hook.h"

enum {
    LOADER_NAME_BYTES_MAX = SCRIPT_NAME_BYTES_MAX,
    LOADER_SCRIPTS_MAX = 1000,         /* LIMIT: more, with those that come along */
    LOADER_FOLDER_BYTES_MAX = 4 << 20, /* LIMIT: more in all files of a folder together */
};

struct loader_script {
    enum hook_point point;
    const char *path;    /* "rerank/mmr"; what error texts call it */
    struct slice name;   /* "mmr" */
    struct slice source; /* at most HOOK_SOURCE_BYTES_MAX */
    struct hash128 hash; /* of the source */
    unsigned version;    /* of its line `-- version: N`; 0: it has none */
    bool is_ours;        /* it came along */
};

/* folder: has <point>/<name>.lua, and what is called like one of ours takes its place; NULL: none.
 * Folders of other names, and files that do not end in .lua or begin with a dot, are left alone.
 * err NOT_FOUND, READ_ONLY, IO: what cannot be read; INVALID: a name, a version or what is no file;
 * LIMIT; NO_MEMORY. */
struct loader;
int loader_open(struct alloc *a, const char *folder, struct loader **out, struct error *err);
void loader_close(struct loader *l); /* NULL is allowed */

/* All of them, sorted by point and name; they live as long as the loader. */
const struct loader_script *loader_scripts(const struct loader *l, size_t *out_count);

/* Whether a text can only be meant as a name: no source that returns a function is one word. */
bool loader_is_name(struct slice text);
/* err NOT_FOUND, with the names that there are and the one that looks most alike. */
int loader_find(const struct loader *l, enum hook_point point, struct slice name,
                const struct loader_script **out, struct error *err);

#endif
