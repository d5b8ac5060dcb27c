/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrate.h"

#include "base/check.h"
#include "store/format.h"

const struct migrate_table *migrate_table_built_in(void)
{
    static const struct migrate_table TABLE = {NULL, 0, FORMAT_MAJOR};
    return &TABLE;
}

/* The step that leads farthest, so that a chain is as short as greed makes it: a step may jump
 * over majors, never past the newest. */
static const struct migrate_step *find_step(const struct migrate_table *table, uint16_t from)
{
    const struct migrate_step *best = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct migrate_step *s = &table->steps[i];
        if (s->from_major != from || s->to_major > table->newest_major) continue;
        if (!best || s->to_major > best->to_major) best = s;
    }
    return best;
}

int migrate_path(const struct migrate_table *table, uint16_t found,
                 const struct migrate_step *out_path[MIGRATE_STEPS_MAX], size_t *out_count,
                 struct error *err)
{
    size_t count = 0;

    if (found > table->newest_major)
        return error_set(err, LYNSE_FORMAT_TOO_NEW,
                         "format version %u is newer than %u, the newest that this version reads",
                         found, table->newest_major);
    for (uint16_t at = found; at != table->newest_major;) {
        const struct migrate_step *step = find_step(table, at);
        if (!step || count == MIGRATE_STEPS_MAX)
            return error_set(err, LYNSE_UNSUPPORTED,
                             "format version %u is older than any that this version can upgrade "
                             "to %u",
                             found, table->newest_major);
        CHECK(step->to_major > at);
        out_path[count++] = step;
        at = step->to_major;
    }
    *out_count = count;
    return 0;
}

int migrate_check(const struct migrate_table *table, uint16_t found, const char *name,
                  struct error *err)
{
    const struct migrate_step *path[MIGRATE_STEPS_MAX];
    size_t count = 0;

    if (migrate_path(table, found, path, &count, err) != 0) return error_wrap(err, "'%s'", name);
    if (count == 0) return 0;
    return error_set(err, LYNSE_UNSUPPORTED,
                     "'%s': format version %u has to be upgraded to %u first (%zu steps)", name,
                     found, table->newest_major, count);
}
