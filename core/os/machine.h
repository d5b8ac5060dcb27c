/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h — what this process may use: cores and memory, cgroup limits included. */
#ifndef OS_MACHINE_H
#define OS_MACHINE_H

#include <stdint.h>

unsigned machine_core_count(void);   /* of the affinity mask; at least 1 */
uint64_t machine_memory_bytes(void); /* the smaller of physical memory and the cgroup's limit */

/* The lowest memory limit of this process's cgroup and those above it, version 1 and 2; UINT64_MAX
 * without one.  root: put before /proc and /sys; "" but in tests. */
uint64_t machine_cgroup_memory_bytes(const char *root);

/* Who we are, for the text in LOCK (L1). */
struct machine_identity {
    int64_t pid;
    uint64_t process_start; /* clock ticks after boot, /proc/self/stat field 22; 0 unknown */
    char boot_id[40];
    char host[65];
    uint32_t uid;
};
void machine_identity(struct machine_identity *out);
/* Is a process with this pid (and start time, when not 0) alive in this boot? */
int machine_process_is_alive(int64_t pid, uint64_t process_start);

#endif
