/* SPDX-License-Identifier: Apache-2.0 */
/* script_folder.c — the files of an operator's folder of scripts.
 *
 * INVARIANTS  (1) A name is one component of letters, digits and _: it leads out of no folder.
 *             (2) What is read is bounded before it is: plain files, their size and sum.  Links are
 *                 followed, for the folder and what leads there are the operator's.
 * THREADS     Any.
 * FAILURE     The first file that cannot be taken ends the reading, and is named.
 */
#include "lua/script_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/quote.h"

static const char ending[] = ".lua";
enum { ENDING_BYTES = sizeof ending - 1, KIND_BYTES_MAX = 14 };

/* What a reading has at hand. */
struct reading {
    struct script_folder *folder;
    const char *kind;
    script_folder_take_fn *take;
    void *ctx;
};

/* (1) */
static bool is_script_name(struct slice name)
{
    bool is_right = name.size >= 1 && name.size <= SCRIPT_NAME_BYTES_MAX;
    for (size_t i = 0; is_right && i < name.size; i++) {
        uint8_t c = name.data[i];
        is_right = (c >= 'a' && c <= 'z') || (i > 0 && ((c >= '0' && c <= '9') || c == '_'));
    }
    return is_right;
}

/* At most `room` bytes; fails where there are more.  fd is open. */
static int read_all(int fd, const char *path, char *out, size_t room, size_t *out_size,
                    struct error *err)
{
    size_t size = 0;

    while (size <= room) {
        char spare;
        ssize_t n = size < room ? read(fd, out + size, room - size) : read(fd, &spare, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set_errno(err, error_code_of_errno(errno), errno, "read %s", path);
        if (n == 0) {
            *out_size = size;
            return 0;
        }
        size += (size_t)n;
    }
    return error_set(err, LYNSE_BUSY, "%s: grew while it was read", path);
}

/* (2) */
static int check_file(const struct script_folder *f, int fd, const char *path, size_t *out_size,
                      struct error *err)
{
    struct stat s;

    if (fstat(fd, &s) != 0)
        return error_set_errno(err, error_code_of_errno(errno), errno, "stat %s", path);
    if (!S_ISREG(s.st_mode)) return error_set(err, LYNSE_INVALID, "%s: no plain file", path);
    if (s.st_size > (off_t)f->file_bytes_max)
        return error_set(err, LYNSE_LIMIT, "%s: %lld bytes, the limit is %zu", path,
                         (long long)s.st_size, f->file_bytes_max);
    *out_size = (size_t)s.st_size;
    if (*out_size > f->bytes_max - f->bytes)
        return error_set(err, LYNSE_LIMIT, "%s: scripts of more than %zu bytes together", path,
                         f->bytes_max);
    return 0;
}

/* fd is the script's, and open. */
static int take_open_file(const struct reading *r, struct slice name, int fd, struct error *err)
{
    struct script_folder *f = r->folder;
    char path[SCRIPT_NAME_BYTES_MAX + KIND_BYTES_MAX + 2];
    size_t size, room;

    snprintf(path, sizeof path, "%s/%.*s", r->kind, (int)name.size, (const char *)name.data);
    if (check_file(f, fd, path, &room, err) != 0) return -1;
    char *block = mem_alloc(f->alloc, MEM_SCRIPT, sizeof path + room);
    if (!block) return error_no_memory(err, sizeof path + room);
    memcpy(block, path, sizeof path);
    char *source = block + sizeof path;
    if (read_all(fd, path, source, room, &size, err) != 0 ||
        r->take(r->ctx, block, slice_of(source, size), err) != 0) {
        mem_free(f->alloc, block);
        return -1;
    }
    f->bytes += size;
    return 0;
}

static int take_file(const struct reading *r, int folder_fd, const char *file, struct error *err)
{
    char quoted[QUOTE_BYTES];
    struct slice name = slice_of(file, strlen(file) - ENDING_BYTES);

    if (!is_script_name(name))
        return error_set(err, LYNSE_INVALID,
                         "%s/%s: a script is called by 1 to %d of a to z, digits and _, a letter "
                         "first",
                         r->kind, quote_text(slice_of_text(file), quoted, sizeof quoted),
                         SCRIPT_NAME_BYTES_MAX);
    int fd = openat(folder_fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, error_code_of_errno(errno), errno, "open %s/%s", r->kind, file);
    int rc = take_open_file(r, name, fd, err);
    close(fd);
    return rc;
}

static bool is_script_file(const char *file)
{
    size_t size = strlen(file);
    return file[0] != '.' && size > ENDING_BYTES &&
           memcmp(file + size - ENDING_BYTES, ending, ENDING_BYTES) == 0;
}

/* take_fd: of the kind's folder. */
static int take_files(const struct reading *r, int take_fd, struct error *err)
{
    DIR *stream = fdopendir(take_fd);
    const struct dirent *entry;
    int rc = 0;

    if (!stream) {
        close(take_fd);
        return error_set_errno(err, error_code_of_errno(errno), errno, "list %s", r->kind);
    }
    while (rc == 0) {
        errno = 0;
        entry = readdir(stream);
        if (!entry && errno != 0)
            rc = error_set_errno(err, error_code_of_errno(errno), errno, "list %s", r->kind);
        if (!entry) break;
        if (is_script_file(entry->d_name)) rc = take_file(r, take_fd, entry->d_name, err);
    }
    closedir(stream);
    return rc;
}

int script_folder_read(struct script_folder *f, const char *kind, script_folder_take_fn *take,
                       void *ctx, struct error *err)
{
    const struct reading r = {f, kind, take, ctx};
    int rc = 0, folder_fd = open(f->path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);

    if (folder_fd < 0)
        return error_set_errno(err, error_code_of_errno(errno), errno, "open %s", f->path);
    int fd = openat(folder_fd, kind, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0) rc = take_files(&r, fd, err);
    else if (errno != ENOENT)
        rc = error_set_errno(err, error_code_of_errno(errno), errno, "open %s", kind);
    close(folder_fd);
    return rc == 0 ? 0 : error_wrap(err, "scripts in %s", f->path);
}
