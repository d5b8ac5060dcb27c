/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor.h — open a file descriptor by the rule for all of ours (R13). */
#ifndef OS_DESCRIPTOR_H
#define OS_DESCRIPTOR_H

/* openat with O_CLOEXEC, over EINTR; the result is never 0, 1 or 2, so that a stray print of the
 * host cannot write into a file.  Makes plain files with mode 0644.  -1 and errno. */
int descriptor_open_at(int dir_fd, const char *path, int flags);

#endif
