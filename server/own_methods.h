/* SPDX-License-Identifier: Apache-2.0 */
/* own_methods.h — methods of the operator's own: the files of <scripts>/rpc.
 *
 * Read once, before there are loops, so that all of them have the same.  Any thread: nothing
 * changes after own_methods_read.
 */
#ifndef SERVER_OWN_METHODS_H
#define SERVER_OWN_METHODS_H

#include <lauxlib.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

enum {
    OWN_METHODS_MAX = 128,       /* beside ours they must fit into METHODS_MAX */
    OWN_METHOD_BYTES = 64 << 10, /* of one file */
    OWN_METHODS_BYTES = 4 << 20, /* of all together */
};

struct own_method {
    const char *path; /* "rpc/digest"; owned, and the source with it */
    struct slice source;
};

struct own_methods {
    size_t count;
    struct own_method list[OWN_METHODS_MAX]; /* sorted by path */
};

/* folder NULL: there are none.  err: what script_folder_read says; LIMIT: more than
 * OWN_METHODS_MAX.  own_methods_free either way. */
int own_methods_read(struct own_methods *m, const char *folder, struct error *err);
void own_methods_free(struct own_methods *m);

/* For scripts/server.lua: own_methods() → a list of { name =, file =, source = }. */
extern const luaL_Reg engine_natives_own[];

#endif
