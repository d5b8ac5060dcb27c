/* SPDX-License-Identifier: Apache-2.0 */
#include "support/temp_dir.h"

#include <dirent.h>
#include <stdbool.h>
#include <unistd.h>

#include "support/test.h"

void temp_dir_make(char out_path[TEMP_PATH_BYTES])
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(out_path, TEMP_PATH_BYTES, "%s/lynse-test-XXXXXX", base ? base : ".");
    assert_true(n > 0 && n < TEMP_PATH_BYTES);
    assert_non_null(mkdtemp(out_path));
}

/* Remove what can be removed from a directory; the path of one that is not empty goes to out_full.
 * false: there was none. */
static bool empty_dir(const char *path, char out_full[4096])
{
    bool has_full = false;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e && !has_full; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        int n = snprintf(out_full, 4096, "%s/%s", path, e->d_name);
        assert_true(n > 0 && n < 4096);
        has_full = unlink(out_full) != 0 && rmdir(out_full) != 0;
    }
    assert_int_equal(closedir(dir), 0);
    return has_full;
}

void temp_dir_remove(const char *path)
{
    char at[4096];
    (void)snprintf(at, sizeof at, "%s", path);
    while (strlen(at) >= strlen(path)) {
        char full[4096];
        if (empty_dir(at, full)) {
            (void)snprintf(at, sizeof at, "%s", full);
            continue;
        }
        assert_int_equal(rmdir(at), 0);
        *strrchr(at, '/') = '\0';
    }
}
