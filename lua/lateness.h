/* SPDX-License-Identifier: Apache-2.0 */
/* lateness.h — how often each trusted source has held a thread past a deadline.
 *
 * Belongs to a host and is as old as it is.  THREADS  Any.
 */
#ifndef LUA_LATENESS_H
#define LUA_LATENESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/thread.h"

enum { LATENESS_SOURCES = 256 }; /* that are remembered */

struct late_source {
    struct hash128 hash;
    unsigned count;   /* of runs that were late */
    uint64_t late_at; /* by `now` */
};
struct lateness {
    struct mutex mutex;
    uint64_t now; /* counts what is noted */
    size_t source_count;
    struct late_source sources[LATENESS_SOURCES];
};

void lateness_init(struct lateness *l);
void lateness_deinit(struct lateness *l);

/* A run of the source with this hash was late. */
void lateness_note(struct lateness *l, const struct hash128 *hash);
/* Whether HOOK_OVERRUNS_MAX runs of it were. */
bool lateness_forbids(struct lateness *l, const struct hash128 *hash);

#endif
