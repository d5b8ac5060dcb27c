/* SPDX-License-Identifier: Apache-2.0 */
/* builtin.h — the scripts that the library brings along: those of scripts/, put in by the build. */
#ifndef LUA_BUILTIN_H
#define LUA_BUILTIN_H

#include <stdbool.h>

#include "base/slice.h"
#include "query/hook.h"

/* scripts/<point>/<name>.lua; false: there is none. */
bool builtin_find(enum hook_point point, struct slice name, struct slice *out_source);

/* Made by the build (cmake/lua.cmake), sorted by path, ended by a path of NULL. */
struct builtin_script {
    const char *path; /* "rerank/mmr" */
    const char *source;
    size_t size;
};
extern const struct builtin_script builtin_scripts[];

#endif
