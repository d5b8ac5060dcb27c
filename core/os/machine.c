/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c — what this process may use, and who it is, from /proc, /sys and system calls.
 *
 * WHAT        Cores of the affinity mask, memory below every cgroup limit, identity for LOCK (L1).
 * INVARIANTS  (1) A cgroup limits itself and all below it: the lowest limit on the way up counts.
 *             (2) A container may see the host's path in /proc/self/cgroup but only its own part of
 *                 the tree mounted: folders that are not there are passed over on the way up.
 * THREADS     No state; any thread.
 * FAILURE     What cannot be read is unknown, never an error: no limit, start time 0, empty text.
 */
#include "os/machine.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/descriptor.h"

enum {
    TEXT_BYTES = 4096, /* /proc/self/cgroup has a line of some ten bytes and a path per hierarchy */
    PATH_BYTES = 4608,
    AFFINITY_CPUS_MAX = 1 << 20,
    STAT_START_FIELD = 22, /* proc(5): starttime */
    STAT_STATE_FIELD = 3,
};

/* The file's first bytes as text; false when it cannot be read.  /proc and /sys hold state of the
 * kernel, not data, so they do not go through the VFS. */
static bool read_text(const char *path, char *out, size_t capacity)
{
    int fd = descriptor_open_at(AT_FDCWD, path, O_RDONLY);
    if (fd < 0) return false;
    size_t done = 0;
    ssize_t n = 0;
    while (done < capacity - 1) {
        n = read(fd, out + done, capacity - 1 - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += (size_t)n;
    }
    (void)close(fd);
    out[done] = '\0';
    return n >= 0;
}

static void cut_line(char *text)
{
    text[strcspn(text, "\n")] = '\0';
}

/* ---- cores ---- */

unsigned machine_core_count(void)
{
    /* The kernel refuses a mask shorter than its own. */
    for (size_t cpus = 1024; cpus <= AFFINITY_CPUS_MAX; cpus *= 4) {
        size_t mask_bytes = CPU_ALLOC_SIZE(cpus);
        cpu_set_t *mask = mem_zalloc(alloc_libc(), MEM_GENERAL, mask_bytes);
        if (!mask) break;
        int rc = sched_getaffinity(0, mask_bytes, mask);
        int refusal = errno;
        int count = rc == 0 ? CPU_COUNT_S(mask_bytes, mask) : 0;
        mem_free(alloc_libc(), mask);
        if (count > 0) return (unsigned)count;
        if (rc == 0 || refusal != EINVAL) break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

/* ---- memory ---- */

static uint64_t read_limit(const char *path)
{
    char text[64];
    if (!read_text(path, text, sizeof text) || !isdigit((unsigned char)text[0])) return UINT64_MAX;
    errno = 0;
    uint64_t limit = strtoull(text, NULL, 10); /* "max" is no digit */
    return errno == 0 ? limit : UINT64_MAX;
}

/* The lowest limit named `file` from folder `cgroup` of the hierarchy mounted at `mount` up. */
static uint64_t lowest_limit(const char *mount, const char *cgroup, const char *file)
{
    uint64_t lowest = UINT64_MAX;
    char folder[TEXT_BYTES];
    (void)snprintf(folder, sizeof folder, "%s", strcmp(cgroup, "/") == 0 ? "" : cgroup);
    for (;;) {
        char path[PATH_BYTES];
        int n = snprintf(path, sizeof path, "%s%s/%s", mount, folder, file);
        if (n > 0 && (size_t)n < sizeof path) {
            uint64_t limit = read_limit(path);
            if (limit < lowest) lowest = limit; /* (1), (2) */
        }
        char *last = strrchr(folder, '/');
        if (!last) return lowest;
        *last = '\0';
    }
}

/* Is `word` in a list like "cpu,cpuacct"? */
static bool has_controller(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = list; *at;) {
        size_t here = strcspn(at, ",");
        if (here == size && strncmp(at, word, size) == 0) return true;
        at += here;
        if (*at == ',') at++;
    }
    return false;
}

/* One line of /proc/self/cgroup: number:controllers:path, cgroups(7). */
static uint64_t limit_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    if (!controllers) return UINT64_MAX;
    *controllers++ = '\0';
    char *path = strchr(controllers, ':');
    if (!path) return UINT64_MAX;
    *path++ = '\0';

    char mount[PATH_BYTES];
    if (controllers[0] == '\0') { /* version 2, alone or beside version 1 */
        (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        uint64_t alone = lowest_limit(mount, path, "memory.max");
        (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/unified", root);
        uint64_t beside = lowest_limit(mount, path, "memory.max");
        return alone < beside ? alone : beside;
    }
    if (!has_controller(controllers, "memory")) return UINT64_MAX;
    (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/memory", root);
    return lowest_limit(mount, path, "memory.limit_in_bytes");
}

uint64_t machine_cgroup_memory_bytes(const char *root)
{
    char path[PATH_BYTES];
    char text[TEXT_BYTES];
    (void)snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!read_text(path, text, sizeof text)) return UINT64_MAX;
    uint64_t lowest = UINT64_MAX;
    char *rest = text;
    for (char *line = strtok_r(rest, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        uint64_t limit = limit_of_line(root, line);
        if (limit < lowest) lowest = limit;
    }
    return lowest;
}

uint64_t machine_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t physical = UINT64_MAX;
    if (pages > 0 && page_bytes > 0) physical = (uint64_t)pages * (uint64_t)page_bytes;
    uint64_t limit = machine_cgroup_memory_bytes("");
    return limit < physical ? limit : physical;
}

/* ---- identity ---- */

/* Field `number` (from 3 on) of a line of /proc/<pid>/stat.  Field 2, the program's name, may hold
 * blanks and parentheses: count from the last one. */
static const char *stat_field(const char *line, int number)
{
    const char *at = strrchr(line, ')');
    for (int field = 2; at && field < number; field++) {
        at = strchr(at, ' ');
        if (at) at++;
    }
    return at;
}

/* false: the process cannot be seen. */
static bool read_stat(const char *pid, char *out_state, uint64_t *out_start)
{
    char path[64];
    char line[1024];
    (void)snprintf(path, sizeof path, "/proc/%s/stat", pid);
    if (!read_text(path, line, sizeof line)) return false;
    const char *state = stat_field(line, STAT_STATE_FIELD);
    const char *start = stat_field(line, STAT_START_FIELD);
    if (!state || !start) return false;
    *out_state = *state;
    *out_start = strtoull(start, NULL, 10);
    return true;
}

void machine_identity(struct machine_identity *out)
{
    char state;
    *out = (struct machine_identity){0};
    out->pid = getpid();
    out->uid = getuid();
    if (!read_stat("self", &state, &out->process_start)) out->process_start = 0;
    if (!read_text("/proc/sys/kernel/random/boot_id", out->boot_id, sizeof out->boot_id))
        out->boot_id[0] = '\0';
    cut_line(out->boot_id);
    if (gethostname(out->host, sizeof out->host - 1) != 0) out->host[0] = '\0';
}

int machine_process_is_alive(int64_t pid, uint64_t process_start)
{
    if (pid <= 0 || pid > INT32_MAX) return 0;
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) return 0;
    char text[24];
    char state;
    uint64_t start;
    (void)snprintf(text, sizeof text, "%" PRId64, pid);
    if (!read_stat(text, &state, &start)) return 1; /* /proc is hidden: believe kill */
    if (state == 'Z' || state == 'X') return 0;     /* its descriptors are closed */
    return process_start == 0 || start == process_start;
}
