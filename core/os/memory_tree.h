/* SPDX-License-Identifier: Apache-2.0 */
/* memory_tree.h — directories, files and their bytes for vfs_memory.c.
 *
 * A node is a file or a directory, as an inode is; an entry is a name of it in a directory.  A node
 * lives while it has a name or a handle.  A file's bytes are a content of their own, counted, so
 * that a map outlives the file; a write to a content that is mapped goes to a copy.
 * No locking here: the file system's mutex covers all of it.
 */
#ifndef OS_MEMORY_TREE_H
#define OS_MEMORY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct memory_node;

struct memory_entry {
    struct memory_entry *next; /* of the same bucket */
    struct memory_node *node;
    uint32_t hash;
    char name[];
};

enum { MEMORY_FIRST_BUCKETS = 8 };

struct memory_children {
    struct memory_entry **buckets; /* `first`, or a block of its own */
    size_t bucket_count;           /* a power of two */
    size_t count;
    struct memory_entry *first[MEMORY_FIRST_BUCKETS];
};

struct memory_content; /* bytes with a count; memory_tree.c */
struct memory_lock;    /* memory_locks.h */

/* How much all files of a file system may hold, and do, those that are only open among them. */
struct memory_room {
    uint64_t used_bytes;
    uint64_t total_bytes; /* UINT64_MAX: no bound */
};

struct memory_bytes {
    struct memory_content *content; /* NULL: nothing was ever written */
    uint64_t size;
    struct memory_room *room; /* counts it */
    struct memory_lock *locks;
};

struct memory_node {
    uint64_t id;         /* unique in its file system */
    uint32_t references; /* one for the name, one for each handle */
    bool is_directory;
    struct memory_entry *entry; /* its name; NULL once removed */
    union {
        struct memory_children children;
        struct memory_bytes file;
    } as;
};

/* One reference, no name.  NULL when out of memory.  A file's size counts in *room as long as the
 * file lives; the room outlives it. */
struct memory_node *memory_node_create(struct alloc *a, uint64_t id, bool is_directory,
                                       struct memory_room *room);
void memory_node_acquire(struct memory_node *node);
void memory_node_release(struct alloc *a, struct memory_node *node);
/* Free a directory and all below it; nobody holds a reference to any of it. */
void memory_tree_destroy(struct alloc *a, struct memory_node *top);
const char *memory_node_name(const struct memory_node *node); /* for error texts */

/* NULL: no such name. */
struct memory_entry *memory_dir_find(const struct memory_node *dir, const char *name);
/* Take over the caller's reference to node, which has no name yet.  false: out of memory, nothing
 * changed.  When the name is taken, the caller removes the earlier entry at once. */
bool memory_dir_add(struct alloc *a, struct memory_node *dir, const char *name,
                    struct memory_node *node);
bool memory_dir_is_empty(const struct memory_node *node); /* false: it is a file, too */
/* May the node of `from` take the place of `target`, which has a name? */
bool memory_node_can_replace(const struct memory_node *from, const struct memory_node *target);
/* Drop a name and its reference. */
void memory_dir_remove(struct alloc *a, struct memory_node *dir, struct memory_entry *entry);

/* UINT64_MAX without a bound. */
uint64_t memory_room_free(const struct memory_room *room);
/* How far the file may reach that is to reach `end`; what is there already it may keep. */
uint64_t memory_file_end(const struct memory_node *file, uint64_t end);
/* Bytes copied; fewer than size at the end of the file. */
size_t memory_file_read(const struct memory_node *file, uint64_t offset, void *data, size_t size);
/* Bytes between the old end and offset become zero.  false: out of memory, nothing changed. */
bool memory_file_write(struct alloc *a, struct memory_node *file, uint64_t offset, const void *data,
                       size_t size);
bool memory_file_truncate(struct alloc *a, struct memory_node *file, uint64_t size);
/* The bytes as they are now, 64-byte aligned, until memory_unmap.  The file is not empty. */
const void *memory_file_map(struct alloc *a, struct memory_node *file);
void memory_unmap(struct alloc *a, const void *map);

#endif
