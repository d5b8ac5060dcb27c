/* SPDX-License-Identifier: Apache-2.0 */
/* scripts.h — the scripts that the program carries: scripts/ and lua/lib, made by the build. */
#ifndef SERVER_SCRIPTS_H
#define SERVER_SCRIPTS_H

#include <stddef.h>
#include <string.h>

struct server_script {
    const char *name;       /* "rpc.search", as require has it */
    const char *chunk_name; /* "@scripts/rpc/search.lua" */
    const char *text;
    size_t size;
};
extern const struct server_script server_scripts[]; /* sorted; the last one's name is NULL */

static inline const struct server_script *server_script_find(const char *name)
{
    for (const struct server_script *s = server_scripts; s->name; s++)
        if (strcmp(s->name, name) == 0) return s;
    return NULL;
}

#endif
