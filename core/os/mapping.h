/* SPDX-License-Identifier: Apache-2.0 */
/* mapping.h — read-only maps of immutable files, and the table of what is mapped (R12).
 *
 * A file that shrinks, or a device that fails, under a map raises SIGBUS.  The library installs no
 * signal handler; a program that does asks mapping_find whether the address is one of ours.
 */
#ifndef OS_MAPPING_H
#define OS_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "os/vfs.h"

/* As many as the kernel maps for one process (vm.max_map_count is 65,530). */
enum { MAPPING_SLOTS = 65536 };

struct mapping {
    const void *data; /* at least 64-byte aligned; never NULL while open */
    size_t size;
    struct vfs *fs;
    uint32_t slot; /* in the table; MAPPING_SLOTS: none */
};

/* Map the whole of a file, which must be expected_size bytes long, and keep no descriptor.
 * NOT_FOUND; CORRUPT: another length (the text names the file and both lengths); LIMIT: the table
 * is full.  Any thread. */
int mapping_open(struct mapping *m, struct vfs_dir *dir, const char *name, uint64_t expected_size,
                 struct error *err);
void mapping_close(struct mapping *m); /* of a zeroed or closed mapping: nothing */

struct mapping_range {
    const void *data;
    size_t size;
};
/* Does the address lie in an open mapping?  Lock-free and async-signal-safe: for a handler of
 * SIGBUS.  Exact when the address is one that the calling thread was reading from a mapping. */
bool mapping_find(const void *address, struct mapping_range *out);
size_t mapping_count(void); /* open mappings of this process with at least one byte */

#endif
