/* SPDX-License-Identifier: Apache-2.0 */
/* module_script.h — the Lua parts of the module as texts, in files that the build writes. */
#ifndef LUA_MODULE_MODULE_SCRIPT_H
#define LUA_MODULE_MODULE_SCRIPT_H

#include <stddef.h>

struct module_script {
    const char *chunk; /* its name in tracebacks */
    const char *text;
    size_t bytes;
};
extern const struct module_script module_arrays, module_remote, module_remote_records,
    module_remote_search, module_classes, module_lynse;

#endif
