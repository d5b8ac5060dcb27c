/* SPDX-License-Identifier: Apache-2.0 */
/* index_on_disk.h — a built index of which one section is in a file, somewhere in it. */
#ifndef SUPPORT_INDEX_ON_DISK_H
#define SUPPORT_INDEX_ON_DISK_H

#include "os/vfs.h"
#include "support/built_index.h"
#include "support/temp_dir.h"

struct index_on_disk {
    struct index_image image; /* first */
    struct built_index *built;
    char path[TEMP_PATH_BYTES];
    struct vfs_dir *folder;
    uint64_t offset;
    uint32_t section;
    bool is_read_through; /* when it is opened next: it has no file of its own */
    unsigned reads;       /* through the image */
};

/* Write the section, and close the index. */
void index_on_disk_put(struct index_on_disk *d, struct built_index *b, uint32_t section);
/* Open it as b->index. */
void index_on_disk_open(struct index_on_disk *d);
/* Leave a part of the file in `share`. */
void index_on_disk_cut(struct index_on_disk *d, uint32_t share);
/* Put it there: with reads in flight and with reads one by one, however it is cut, a search finds
 * what it found before, and a check finds nothing.  It is closed then. */
void assert_same_from_disk(struct index_on_disk *d, struct built_index *b, uint32_t section);
void index_on_disk_drop(struct index_on_disk *d);

#endif
