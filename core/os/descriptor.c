/* SPDX-License-Identifier: Apache-2.0 */
#include "os/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FILE_MODE = 0644 };

int descriptor_open_at(int dir_fd, const char *path, int flags)
{
    int fd;
    do fd = openat(dir_fd, path, flags | O_CLOEXEC, FILE_MODE);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 || fd > STDERR_FILENO) return fd;

    int low = fd;
    fd = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int dup_errno = errno;
    (void)close(low); /* nothing was written through it */
    errno = dup_errno;
    return fd;
}
