/* SPDX-License-Identifier: Apache-2.0 */
/* builtin.c — the scripts that the library brings along: those of scripts/, put in by the build. */
#include "lua/builtin.h"

#include <string.h>

static const char *const folders[] = {
#define POINT_FOLDER(name, word) word "/",
    HOOK_POINTS(POINT_FOLDER)
#undef POINT_FOLDER
};

bool builtin_find(enum hook_point point, struct slice name, struct slice *out_source)
{
    size_t folder_size = strlen(folders[point]);

    for (const struct builtin_script *b = builtin_scripts; b->path; b++) {
        if (strncmp(b->path, folders[point], folder_size) != 0) continue;
        if (!slice_equal(slice_of_text(b->path + folder_size), name)) continue;
        *out_source = slice_of(b->source, b->size);
        return true;
    }
    return false;
}
