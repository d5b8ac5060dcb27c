/* SPDX-License-Identifier: Apache-2.0 */
#include "support/temp_dir.h"

#include <ftw.h>
#include <unistd.h>

#include "support/test.h"

void temp_dir_make(char out_path[TEMP_PATH_BYTES])
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(out_path, TEMP_PATH_BYTES, "%s/lynse-test-XXXXXX", base ? base : ".");
    assert_true(n > 0 && n < TEMP_PATH_BYTES);
    assert_non_null(mkdtemp(out_path));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

void temp_dir_remove(const char *path)
{
    enum { DESCRIPTORS = 16 };
    assert_int_equal(nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS), 0);
}
