/* SPDX-License-Identifier: Apache-2.0 */
/* migrate.h — which format majors this version reads, and the steps that lead to its own.
 *
 * A step rewrites a whole root from one major to the next one that it knows, as new files under a
 * new catalog; migrate_path chains steps.  Major 1 is the first, so the table is empty: what is
 * here decides, for every file that is opened, between "ours", "newer than this version" and
 * "older than any step begins".
 */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "os/vfs.h"

struct migrate_step {
    uint16_t from_major;
    uint16_t to_major; /* greater than from_major */
    int (*run)(struct vfs_dir *root, struct error *err);
};
struct migrate_table {
    const struct migrate_step *steps; /* sorted by from_major; NULL when there are none */
    size_t count;
    uint16_t newest_major;
};
enum { MIGRATE_STEPS_MAX = 16 };

/* The steps of this build. */
const struct migrate_table *migrate_table_built_in(void);

/* The shortest chain of steps from `found` to the table's newest major; *out_count 0 when it is
 * that already.  FORMAT_TOO_NEW: newer, both versions in the text.  UNSUPPORTED: older, and no
 * chain leads here. */
int migrate_path(const struct migrate_table *table, uint16_t found,
                 const struct migrate_step *out_path[MIGRATE_STEPS_MAX], size_t *out_count,
                 struct error *err);

/* May a file of this major be read as it is?  name is for the text.  Otherwise the error of
 * migrate_path, or UNSUPPORTED naming the upgrade that has to come first. */
int migrate_check(const struct migrate_table *table, uint16_t found, const char *name,
                  struct error *err);

#endif
