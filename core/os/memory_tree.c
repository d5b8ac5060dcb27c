/* SPDX-License-Identifier: Apache-2.0 */
/* memory_tree.c — directories, files and their bytes for vfs_memory.c.
 *
 * WHAT        Nodes, names and contents, counted; see memory_tree.h.
 * LAYOUT      A content is one block: a header of 64 bytes, then the bytes, so that a map is a
 *             pointer into it and finds its way back without a table.
 * INVARIANTS  (1) node->entry is the one entry that names the node, or NULL.
 *             (2) A content with more than one reference is mapped and is never written again.
 *             (3) Bytes of a content at and beyond the file's size have no meaning; whatever
 *                 makes the file longer writes all that it adds.
 * THREADS     None of its own: the mutex of vfs_memory.c.
 * FAILURE     Out of memory leaves the tree as it was.  A directory that cannot grow its buckets
 *             only becomes slower.
 */
#include "os/memory_tree.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

struct memory_content {
    size_t capacity;
    uint32_t references; /* the file's, and one for each map */
};
enum { CONTENT_HEADER_BYTES = ALIGN_VECTOR };
_Static_assert(sizeof(struct memory_content) <= CONTENT_HEADER_BYTES, "header before the bytes");

/* ---- contents ---- */

static uint8_t *content_bytes(const struct memory_content *c)
{
    return (uint8_t *)(uintptr_t)c + CONTENT_HEADER_BYTES;
}

static struct memory_content *content_create(struct alloc *a, size_t capacity)
{
    size_t block_bytes;
    if (!size_add(capacity, CONTENT_HEADER_BYTES, &block_bytes)) return NULL;
    struct memory_content *c = mem_alloc_aligned(a, MEM_SEGMENT, block_bytes, ALIGN_VECTOR);
    if (!c) return NULL;
    c->capacity = capacity;
    c->references = 1;
    return c;
}

static void content_release(struct alloc *a, struct memory_content *c)
{
    if (!c) return;
    CHECK(c->references > 0);
    if (--c->references == 0) mem_free(a, c);
}

/* Give the file a content of its own with the capacity and its bytes. */
static bool content_replace(struct alloc *a, struct memory_bytes *file, size_t capacity)
{
    CHECK(capacity >= file->size);
    struct memory_content *next = content_create(a, capacity);
    if (!next) return false;
    if (file->size > 0) memcpy(content_bytes(next), content_bytes(file->content), file->size);
    content_release(a, file->content);
    file->content = next;
    return true;
}

/* Make the first `end` bytes writable; there is a content afterwards. */
static bool content_reserve(struct alloc *a, struct memory_bytes *file, uint64_t end)
{
    if (end > SIZE_MAX / 2) return false;
    size_t capacity = file->content ? file->content->capacity : 0;
    bool is_own = file->content && file->content->references == 1; /* (2) */
    if (is_own && end <= capacity) return true;

    size_t wanted = end > file->size ? (size_t)end : (size_t)file->size;
    size_t roomy = capacity + capacity / 2; /* appends must not copy every time */
    if (end > capacity && roomy > wanted) wanted = roomy;
    return content_replace(a, file, wanted);
}

static void set_size(struct memory_bytes *file, uint64_t size)
{
    file->room->used_bytes += size - file->size; /* both ways, modulo 2^64 */
    file->size = size;
}

uint64_t memory_room_free(const struct memory_room *room)
{
    if (room->total_bytes == UINT64_MAX) return UINT64_MAX;
    return room->used_bytes < room->total_bytes ? room->total_bytes - room->used_bytes : 0;
}

uint64_t memory_file_end(const struct memory_node *node, uint64_t end)
{
    const struct memory_bytes *file = &node->as.file;
    uint64_t most, left = memory_room_free(file->room);

    if (end <= file->size || __builtin_add_overflow(file->size, left, &most)) return end;
    return end < most ? end : most;
}

size_t memory_file_read(const struct memory_node *node, uint64_t offset, void *data, size_t size)
{
    const struct memory_bytes *file = &node->as.file;
    if (offset >= file->size || size == 0) return 0;
    uint64_t left = file->size - offset;
    size_t n = left < size ? (size_t)left : size;
    memcpy(data, content_bytes(file->content) + offset, n);
    return n;
}

bool memory_file_write(struct alloc *a, struct memory_node *node, uint64_t offset, const void *data,
                       size_t size)
{
    struct memory_bytes *file = &node->as.file;
    if (size == 0) return true;
    uint64_t end = offset + size; /* below 2^63: the caller has checked */
    if (!content_reserve(a, file, end)) return false;
    uint8_t *bytes = content_bytes(file->content);
    if (offset > file->size) memset(bytes + file->size, 0, (size_t)(offset - file->size)); /* (3) */
    memcpy(bytes + offset, data, size);
    if (end > file->size) set_size(file, end);
    return true;
}

bool memory_file_truncate(struct alloc *a, struct memory_node *node, uint64_t size)
{
    struct memory_bytes *file = &node->as.file;
    if (size > file->size) {
        if (!content_reserve(a, file, size)) return false;
        memset(content_bytes(file->content) + file->size, 0, (size_t)(size - file->size)); /* (3) */
    }
    set_size(file, size);
    return true;
}

const void *memory_file_map(struct alloc *a, struct memory_node *node)
{
    struct memory_bytes *file = &node->as.file;
    CHECK(file->size > 0);
    /* A file is mapped when it is finished: give back what its growth left over, if we can. */
    bool is_wasteful = file->content->capacity - file->size > file->size / 8 + ALIGN_VECTOR;
    if (file->content->references == 1 && is_wasteful)
        (void)content_replace(a, file, (size_t)file->size);
    file->content->references++;
    return content_bytes(file->content);
}

void memory_unmap(struct alloc *a, const void *map)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)map;
    content_release(a, (struct memory_content *)(void *)(bytes - CONTENT_HEADER_BYTES));
}

/* ---- nodes ---- */

struct memory_node *memory_node_create(struct alloc *a, uint64_t id, bool is_directory,
                                       struct memory_room *room)
{
    struct memory_node *node = mem_zalloc(a, MEM_GENERAL, sizeof *node);
    if (!node) return NULL;
    node->id = id;
    node->references = 1;
    node->is_directory = is_directory;
    if (is_directory) {
        node->as.children.buckets = node->as.children.first;
        node->as.children.bucket_count = MEMORY_FIRST_BUCKETS;
    } else {
        node->as.file.room = room;
    }
    return node;
}

static void node_free(struct alloc *a, struct memory_node *node)
{
    if (!node->is_directory) {
        CHECK(node->as.file.locks == NULL); /* a lock goes with its handle */
        set_size(&node->as.file, 0);
        content_release(a, node->as.file.content);
    } else if (node->as.children.buckets != node->as.children.first) {
        mem_free(a, node->as.children.buckets);
    }
    mem_free(a, node);
}

void memory_node_acquire(struct memory_node *node)
{
    node->references++;
}

void memory_node_release(struct alloc *a, struct memory_node *node)
{
    CHECK(node->references > 0);
    if (--node->references == 0) node_free(a, node);
}

const char *memory_node_name(const struct memory_node *node)
{
    return node->entry ? node->entry->name : "(removed)";
}

void memory_tree_destroy(struct alloc *a, struct memory_node *top)
{
    struct memory_entry *waiting = NULL; /* entries whose node is still to be freed */
    struct memory_node *node = top;
    for (;;) {
        CHECK(node->references == 1);
        size_t bucket_count = node->is_directory ? node->as.children.bucket_count : 0;
        for (size_t b = 0; b < bucket_count; b++) {
            struct memory_entry *e = node->as.children.buckets[b];
            while (e) {
                struct memory_entry *next = e->next;
                e->next = waiting;
                waiting = e;
                e = next;
            }
        }
        node_free(a, node);
        if (!waiting) return;
        struct memory_entry *done = waiting;
        waiting = done->next;
        node = done->node;
        mem_free(a, done);
    }
}

/* ---- names ---- */

/* FNV-1a; names are short and our own. */
static uint32_t hash_name(const char *name)
{
    uint32_t h = 2166136261u;
    for (const char *p = name; *p; p++) h = (h ^ (uint8_t)*p) * 16777619u;
    return h;
}

static struct memory_entry **bucket_of(const struct memory_children *c, uint32_t hash)
{
    return &c->buckets[hash & (c->bucket_count - 1)];
}

struct memory_entry *memory_dir_find(const struct memory_node *dir, const char *name)
{
    uint32_t hash = hash_name(name);
    struct memory_entry *e = *bucket_of(&dir->as.children, hash);
    while (e && (e->hash != hash || strcmp(e->name, name) != 0)) e = e->next;
    return e;
}

static void grow_buckets(struct alloc *a, struct memory_children *c)
{
    struct memory_children next = *c;
    next.bucket_count = c->bucket_count * 4;
    next.buckets = mem_zalloc(a, MEM_GENERAL, next.bucket_count * sizeof *next.buckets);
    if (!next.buckets) return; /* longer chains, no error */
    for (size_t b = 0; b < c->bucket_count; b++) {
        struct memory_entry *e = c->buckets[b];
        while (e) {
            struct memory_entry *after = e->next;
            struct memory_entry **bucket = bucket_of(&next, e->hash);
            e->next = *bucket;
            *bucket = e;
            e = after;
        }
    }
    if (c->buckets != c->first) mem_free(a, c->buckets);
    c->buckets = next.buckets;
    c->bucket_count = next.bucket_count;
}

bool memory_dir_add(struct alloc *a, struct memory_node *dir, const char *name,
                    struct memory_node *node)
{
    CHECK(node->entry == NULL); /* (1) */
    struct memory_children *c = &dir->as.children;
    size_t name_bytes = strlen(name) + 1;
    struct memory_entry *e = mem_alloc(a, MEM_GENERAL, sizeof *e + name_bytes);
    if (!e) return false;
    if (c->count >= 2 * c->bucket_count) grow_buckets(a, c);

    e->hash = hash_name(name);
    e->node = node;
    memcpy(e->name, name, name_bytes);
    struct memory_entry **bucket = bucket_of(c, e->hash);
    e->next = *bucket;
    *bucket = e;
    c->count++;
    node->entry = e;
    return true;
}

bool memory_dir_is_empty(const struct memory_node *node)
{
    return node->is_directory && node->as.children.count == 0;
}

bool memory_node_can_replace(const struct memory_node *from, const struct memory_node *target)
{
    return from->is_directory ? memory_dir_is_empty(target) : !target->is_directory;
}

void memory_dir_remove(struct alloc *a, struct memory_node *dir, struct memory_entry *entry)
{
    struct memory_children *c = &dir->as.children;
    struct memory_entry **link = bucket_of(c, entry->hash);
    while (*link != entry) link = &(*link)->next;
    *link = entry->next;
    c->count--;
    CHECK(entry->node->entry == entry); /* (1) */
    entry->node->entry = NULL;
    memory_node_release(a, entry->node);
    mem_free(a, entry);
}
