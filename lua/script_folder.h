/* SPDX-License-Identifier: Apache-2.0 */
/* script_folder.h — the files of an operator's folder of scripts: <folder>/<kind>/<name>.lua.
 *
 * For the hooks of a root and the methods of a server.  Any thread.
 */
#ifndef LUA_SCRIPT_FOLDER_H
#define LUA_SCRIPT_FOLDER_H

#include <stddef.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/slice.h"

enum { SCRIPT_NAME_BYTES_MAX = 32 }; /* a to z, digits and _; a letter first */

struct script_folder {
    struct alloc *alloc;
    const char *path;      /* borrowed */
    size_t file_bytes_max; /* LIMIT: a file that is larger */
    size_t bytes_max;      /* LIMIT: more in all files together */
    size_t bytes;          /* of those that were read */
};

/* One script: path is "<kind>/<name>".  0: it is taken, and mem_free(alloc, path) frees the source
 * as well; -1: it is the caller's. */
typedef int script_folder_take_fn(void *ctx, const char *path, struct slice source,
                                  struct error *err);

/* Every script of that kind, in no order; a folder without the kind has none.  Files that do not
 * end in .lua, or begin with a dot, are left alone.
 *
 * err  NOT_FOUND, READ_ONLY, IO: what cannot be read; INVALID: a name, or what is no file; LIMIT;
 *      NO_MEMORY; what take says.  Each names the folder and the file. */
int script_folder_read(struct script_folder *f, const char *kind, script_folder_take_fn *take,
                       void *ctx, struct error *err);

#endif
