/* SPDX-License-Identifier: Apache-2.0 */
/* module_script.h — lynse.lua as text; the build writes the file that has it. */
#ifndef LUA_MODULE_MODULE_SCRIPT_H
#define LUA_MODULE_MODULE_SCRIPT_H

#include <stddef.h>

extern const char module_script[];
extern const size_t module_script_bytes;

#endif
