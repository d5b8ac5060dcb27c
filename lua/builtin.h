/* SPDX-License-Identifier: Apache-2.0 */
/* builtin.h — the scripts that the library brings along: those of scripts/, put in by the build
 * (cmake/lua.cmake), sorted by path, ended by a path of NULL.  loader.h finds them. */
#ifndef LUA_BUILTIN_H
#define LUA_BUILTIN_H

#include <stddef.h>

struct builtin_script {
    const char *path; /* "rerank/mmr" */
    const char *source;
    size_t size;
};
extern const struct builtin_script builtin_scripts[];

#endif
