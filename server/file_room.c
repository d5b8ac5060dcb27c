/* SPDX-License-Identifier: Apache-2.0 */
#include "server/file_room.h"

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>

#include "server/server.h"

enum { FILES_OF_COLLECTION = 2, FILES_OF_JOBS = 4 /* that write segments */ };

/* What this process has open; -1: it cannot be told, for want of a descriptor or of /proc. */
static long count_files(void)
{
    DIR *all = opendir("/proc/self/fd");
    long count = -3; /* ".", ".." and the directory itself */

    if (!all) return -1;
    while (readdir(all)) count++;
    closedir(all);
    return count;
}

static int refuse(const char *name, long open, unsigned long long limit, struct error *err)
{
    return error_set(err, LYNSE_BUSY,
                     "collection '%.*s': %ld of %llu descriptors (ulimit -n) are open, and the "
                     "rest is for connections and the log files of open collections",
                     2 * LIMIT_NAME_BYTES, name, open, limit);
}

int file_room_enter(struct server *s, const char *name, struct error *err)
{
    struct rlimit files;
    /* Each that is being opened counts what it is about to take: side by side they see each other.
     * Relaxed: a number and nothing behind it. */
    int64_t opening = atomic_add_relaxed(&s->opening_count, 1) + 1;

    if (opened_names_has(&s->opened, name) || getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur == RLIM_INFINITY)
        return 0;
    int64_t limit = (int64_t)files.rlim_cur, kept = limit / 4;
    if (kept > (int64_t)s->options.connections_max) kept = s->options.connections_max;
    int64_t connected = atomic_load_relaxed(&s->connection_count);
    errno = 0;
    long open = count_files();
    if (open < 0 && errno != EMFILE && errno != ENFILE) return 0;
    if (open < 0) return refuse(name, (long)limit, (unsigned long long)limit, err);
    /* Those that have written have their log open: it is counted twice, for the next one. */
    int64_t to_come = (int64_t)opened_names_count(&s->opened) + opening * FILES_OF_COLLECTION;
    if (connected < kept) to_come += kept - connected;
    if (open + to_come + FILES_OF_JOBS <= limit) return 0;
    return refuse(name, open, (unsigned long long)limit, err);
}

void file_room_leave(struct server *s)
{
    atomic_sub_relaxed(&s->opening_count, 1);
}
