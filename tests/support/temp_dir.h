/* SPDX-License-Identifier: Apache-2.0 */
/* temp_dir.h — a directory on the real file system for one test. */
#ifndef SUPPORT_TEMP_DIR_H
#define SUPPORT_TEMP_DIR_H

enum { TEMP_PATH_BYTES = 512 };

/* Make one in $TMPDIR, or in the working directory; fails the test when it cannot. */
void temp_dir_make(char out_path[TEMP_PATH_BYTES]);
/* Remove it and all in it; links are removed, never followed. */
void temp_dir_remove(const char *path);

#endif
