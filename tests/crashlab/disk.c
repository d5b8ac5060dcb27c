/* SPDX-License-Identifier: Apache-2.0 */
#include "crashlab/disk.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"

/* ---- memory: the lab stops without it ---- */

static void *get(struct alloc *a, size_t bytes)
{
    void *p = mem_zalloc(a, MEM_GENERAL, bytes);
    CHECK(p);
    return p;
}

static void *grow(struct alloc *a, void *list, size_t count, size_t *capacity, size_t bytes)
{
    if (count < *capacity) return list;
    size_t wanted = *capacity ? 2 * *capacity : 16;
    if (wanted <= count) wanted = count + 1;
    void *p = mem_resize(a, MEM_GENERAL, list, wanted * bytes);
    CHECK(p);
    memset((char *)p + *capacity * bytes, 0, (wanted - *capacity) * bytes);
    *capacity = wanted;
    return p;
}

static struct blob *blob_create(struct alloc *a, size_t size)
{
    struct blob *b = get(a, sizeof *b + size);
    b->reference_count = 1;
    b->size = size;
    return b;
}

static struct blob *blob_of(struct alloc *a, const void *bytes, size_t size)
{
    struct blob *b = blob_create(a, size);
    if (size > 0) memcpy(b->bytes, bytes, size);
    b->hash = hash_xxh3_64(b->bytes, size);
    return b;
}

static struct blob *blob_acquire(struct blob *b)
{
    if (b) b->reference_count++;
    return b;
}

static void blob_release(struct alloc *a, struct blob *b)
{
    if (b && --b->reference_count == 0) mem_free(a, b);
}

static const char *text_of(const struct blob *name)
{
    return (const char *)name->bytes;
}

/* ---- life ---- */

static struct disk_inode *add_inode(struct disk *d, bool is_dir)
{
    d->inodes = grow(d->alloc, d->inodes, d->inode_count, &d->inode_capacity, sizeof *d->inodes);
    struct disk_inode *n = &d->inodes[d->inode_count++];
    *n = (struct disk_inode){.number = d->next_inode++, .is_dir = is_dir};
    return n;
}

static struct disk_inode *find_inode(const struct disk *d, uint32_t number)
{
    for (size_t i = 0; i < d->inode_count; i++)
        if (d->inodes[i].number == number) return &d->inodes[i];
    return NULL;
}

void disk_init(struct disk *d, struct alloc *a)
{
    *d = (struct disk){.alloc = a, .next_inode = DISK_ROOT};
    (void)add_inode(d, true);
}

void disk_deinit(struct disk *d)
{
    for (size_t i = 0; i < d->inode_count; i++) {
        blob_release(d->alloc, d->inodes[i].content);
        blob_release(d->alloc, d->inodes[i].cached);
    }
    for (size_t i = 0; i < d->name_count; i++) blob_release(d->alloc, d->names[i].name);
    for (size_t i = 0; i < d->pending_count; i++) blob_release(d->alloc, d->pending[i].data);
    mem_free(d->alloc, d->inodes);
    mem_free(d->alloc, d->names);
    mem_free(d->alloc, d->pending);
    *d = (struct disk){0};
}

static bool is_used(const struct disk *d, const struct disk_inode *n)
{
    bool found = n->number == DISK_ROOT;

    for (size_t i = 0; i < d->name_count && !found; i++) found = d->names[i].inode == n->number;
    for (size_t i = 0; i < d->pending_count && !found; i++)
        found = d->pending[i].inode == n->number;
    return found;
}

void disk_copy(struct disk *to, const struct disk *from)
{
    struct alloc *a = from->alloc;

    *to = (struct disk){.alloc = a, .next_inode = from->next_inode};
    to->inodes = get(a, (from->inode_count + 1) * sizeof *to->inodes);
    to->names = get(a, (from->name_count + 1) * sizeof *to->names);
    to->pending = get(a, (from->pending_count + 1) * sizeof *to->pending);
    to->inode_capacity = from->inode_count + 1;
    to->name_capacity = from->name_count + 1;
    to->pending_capacity = from->pending_count + 1;
    for (size_t i = 0; i < from->inode_count; i++) {
        if (!is_used(from, &from->inodes[i])) continue;
        to->inodes[to->inode_count] = from->inodes[i];
        blob_acquire(to->inodes[to->inode_count].cached);
        blob_acquire(to->inodes[to->inode_count++].content);
    }
    for (size_t i = 0; i < from->name_count; i++) {
        to->names[to->name_count] = from->names[i];
        blob_acquire(to->names[to->name_count++].name);
    }
    for (size_t i = 0; i < from->pending_count; i++) {
        to->pending[to->pending_count] = from->pending[i];
        blob_acquire(to->pending[to->pending_count++].data);
    }
}

/* ---- names ---- */

static void set_name(struct disk *d, uint32_t dir, struct blob *name, uint32_t inode)
{
    for (size_t i = 0; i < d->name_count; i++) {
        struct disk_name *n = &d->names[i];
        if (n->dir != dir || strcmp(text_of(n->name), text_of(name)) != 0) continue;
        if (inode) {
            n->inode = inode;
            return;
        }
        blob_release(d->alloc, n->name);
        *n = d->names[--d->name_count];
        return;
    }
    if (!inode) return;
    d->names = grow(d->alloc, d->names, d->name_count, &d->name_capacity, sizeof *d->names);
    d->names[d->name_count++] = (struct disk_name){dir, inode, blob_acquire(name)};
}

static void apply_name(struct disk *d, const struct pending *p)
{
    set_name(d, p->dir, p->data, p->kind == PENDING_LINK ? p->inode : 0);
}

/* ---- contents ---- */

static bool keeps_sector(const struct image *m, uint64_t first, uint64_t sector)
{
    if (m->tear == TEAR_PREFIX) return sector - first < m->detail;
    return m->tear == TEAR_SECTORS && (hash_u64(m->detail ^ hash_u64(sector)) & 1);
}

/* One write of which only some sectors, or only the size, arrived; bytes holds old_size of them. */
static void apply_torn(uint8_t *bytes, size_t old_size, const struct pending *p,
                       const struct image *m)
{
    uint64_t end = p->offset + p->data->size, first = p->offset / SECTOR_BYTES;

    if (m->tear == TEAR_GARBAGE)
        for (uint64_t at = old_size > p->offset ? old_size : p->offset; at < end; at++)
            bytes[at] = (uint8_t)hash_u64(m->detail ^ at);
    for (uint64_t at = p->offset; at < end;) {
        uint64_t next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        if (next > end) next = end;
        if (keeps_sector(m, first, at / SECTOR_BYTES))
            memcpy(bytes + at, p->data->bytes + (at - p->offset), (size_t)(next - at));
        at = next;
    }
}

/* The bytes of a file with the pending operations that m keeps (NULL: all); a reference. */
static struct blob *content_of(const struct disk *d, const struct disk_inode *n,
                               const struct image *m)
{
    size_t size = n->content ? n->content->size : 0, most = size;
    bool is_changed = false;

    for (size_t i = 0; i < d->pending_count; i++) {
        const struct pending *p = &d->pending[i];
        if (p->inode != n->number || p->kind > PENDING_TRUNCATE || (m && !image_keeps(m, i)))
            continue;
        uint64_t end = p->kind == PENDING_WRITE ? p->offset + p->data->size : p->offset;
        if (end > most) most = (size_t)end;
        is_changed = true;
    }
    if (!is_changed) return blob_acquire(n->content);
    struct blob *b = blob_create(d->alloc, most);
    if (n->content) memcpy(b->bytes, n->content->bytes, n->content->size);
    for (size_t i = 0; i < d->pending_count; i++) {
        const struct pending *p = &d->pending[i];
        if (p->inode != n->number || p->kind > PENDING_TRUNCATE || (m && !image_keeps(m, i)))
            continue;
        size_t end = (size_t)(p->kind == PENDING_WRITE ? p->offset + p->data->size : p->offset);
        if (p->kind == PENDING_TRUNCATE) {
            if (end < size) memset(b->bytes + end, 0, size - end);
            size = end;
            continue;
        }
        if (m && m->tear != TEAR_NONE && m->victim == i) apply_torn(b->bytes, size, p, m);
        else memcpy(b->bytes + p->offset, p->data->bytes, p->data->size);
        if (end > size) size = end;
    }
    b->size = size;
    b->hash = hash_xxh3_64(b->bytes, size);
    return b;
}

/* ---- crashes ---- */

static void drop_unreachable(struct disk *d)
{
    for (size_t i = 0; i < d->name_count;) {
        struct disk_name *n = &d->names[i];
        bool is_there = n->dir == DISK_ROOT;
        for (size_t j = 0; j < d->name_count && !is_there; j++)
            is_there = d->names[j].inode == n->dir;
        if (is_there) {
            i++;
            continue;
        }
        blob_release(d->alloc, n->name);
        *n = d->names[--d->name_count];
    }
}

void disk_cut(struct disk *to, const struct disk *from, const struct image *m)
{
    disk_init(to, from->alloc);
    for (size_t i = 0; i < from->name_count; i++)
        set_name(to, from->names[i].dir, from->names[i].name, from->names[i].inode);
    for (size_t i = 0; i < from->pending_count; i++)
        if (from->pending[i].kind >= PENDING_LINK && image_keeps(m, i))
            apply_name(to, &from->pending[i]);
    drop_unreachable(to);
    /* A file that is left with two names is two files from now on: nobody writes through both. */
    to->next_inode = from->next_inode;
    for (size_t i = 0; i < to->name_count; i++) {
        const struct disk_inode *old = find_inode(from, to->names[i].inode);
        CHECK(old);
        struct disk_inode *n = add_inode(to, old->is_dir);
        if (old->is_dir) n->number = old->number;
        n->is_lock = old->is_lock;
        if (!old->is_dir) n->content = content_of(from, old, m);
        to->names[i].inode = n->number;
    }
}

uint64_t disk_hash(const struct disk *d)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < d->name_count; i++) {
        const struct disk_name *n = &d->names[i];
        const struct disk_inode *f = find_inode(d, n->inode);
        uint64_t content = f->content ? f->content->hash ^ f->content->size : 7;
        /* A sum, so that the order of names does not count. */
        sum += hash_u64(n->name->hash + hash_u64(n->dir * 131 + (f->is_dir ? n->inode : content)));
    }
    return sum;
}

static void drop_pending(struct disk *d, size_t i)
{
    blob_release(d->alloc, d->pending[i].data);
    memmove(&d->pending[i], &d->pending[i + 1], (d->pending_count - i - 1) * sizeof *d->pending);
    d->pending_count--;
}

static void drop_writes(struct disk *d, uint32_t inode)
{
    for (size_t i = 0; i < d->pending_count;) {
        const struct pending *p = &d->pending[i];
        if (p->kind <= PENDING_TRUNCATE && p->inode == inode) drop_pending(d, i);
        else i++;
    }
}

static struct blob *cached_of(const struct disk *d, const struct disk_inode *n)
{
    return n->cached ? blob_acquire(n->cached) : content_of(d, n, NULL);
}

void disk_lose(struct disk *d, uint32_t inode)
{
    struct disk_inode *n = find_inode(d, inode);

    CHECK(n);
    if (!n->cached) n->cached = content_of(d, n, NULL);
    drop_writes(d, inode);
}

bool disk_has_lost(const struct disk *d)
{
    for (size_t i = 0; i < d->inode_count; i++)
        if (d->inodes[i].cached) return true;
    return false;
}

/* The cache and the disk have parted: what is written goes to both. */
static void write_cached(struct disk *d, struct disk_inode *n, const struct vfs_op *op)
{
    bool is_write = op->kind == VFS_OP_FILE_WRITE;
    size_t old = n->cached->size, end = (size_t)op->offset + (is_write ? op->data.size : 0);
    struct blob *b = blob_create(d->alloc, end > old || !is_write ? end : old);

    memcpy(b->bytes, n->cached->bytes, old < b->size ? old : b->size);
    if (is_write) memcpy(b->bytes + op->offset, op->data.data, op->data.size);
    b->hash = hash_xxh3_64(b->bytes, b->size);
    blob_release(d->alloc, n->cached);
    n->cached = b;
}

void disk_damage(struct disk *d, size_t inode_index, uint64_t offset, size_t size, uint64_t seed)
{
    struct disk_inode *n = &d->inodes[inode_index];
    struct blob *b;

    CHECK(n->content && offset < n->content->size);
    b = blob_of(d->alloc, n->content->bytes, n->content->size);
    if (size > b->size - offset) size = b->size - (size_t)offset;
    for (size_t i = 0; i < size; i++) b->bytes[offset + i] = (uint8_t)hash_u64(seed ^ i);
    b->hash = hash_xxh3_64(b->bytes, b->size);
    blob_release(d->alloc, n->content);
    n->content = b;
}

/* ---- operations ---- */

static struct pending *add_pending(struct disk *d, enum pending_kind kind, uint32_t inode)
{
    d->pending =
        grow(d->alloc, d->pending, d->pending_count, &d->pending_capacity, sizeof *d->pending);
    struct pending *p = &d->pending[d->pending_count++];
    *p = (struct pending){.kind = kind, .inode = inode};
    return p;
}

static void add_name(struct disk *d, enum pending_kind kind, uint32_t dir, const char *name,
                     uint32_t inode)
{
    struct pending *p = add_pending(d, kind, inode);
    p->dir = dir;
    p->data = blob_of(d->alloc, name, strlen(name) + 1);
}

/* As of now, pending changes included; 0: no such name. */
static uint32_t look_up(const struct disk *d, uint32_t dir, const char *name)
{
    uint32_t inode = 0;

    for (size_t i = 0; i < d->name_count; i++)
        if (d->names[i].dir == dir && strcmp(text_of(d->names[i].name), name) == 0)
            inode = d->names[i].inode;
    for (size_t i = 0; i < d->pending_count; i++) {
        const struct pending *p = &d->pending[i];
        if (p->kind < PENDING_LINK || p->dir != dir || strcmp(text_of(p->data), name) != 0)
            continue;
        inode = p->kind == PENDING_LINK ? p->inode : 0;
    }
    return inode;
}

static void sync_file(struct disk *d, uint32_t inode)
{
    struct disk_inode *n = find_inode(d, inode);
    CHECK(n);
    struct blob *b = content_of(d, n, NULL);
    blob_release(d->alloc, n->content);
    n->content = b;
    drop_writes(d, inode);
}

static void sync_dir(struct disk *d, uint32_t dir)
{
    for (size_t i = 0; i < d->pending_count;) {
        if (d->pending[i].kind < PENDING_LINK || d->pending[i].dir != dir) {
            i++;
            continue;
        }
        apply_name(d, &d->pending[i]);
        drop_pending(d, i);
    }
}

/* ---- mounting ---- */

static void note_number(struct alloc *a, uint32_t **list, size_t *capacity, uint64_t number,
                        uint32_t inode)
{
    while (number >= *capacity) *list = grow(a, *list, *capacity, capacity, sizeof **list);
    (*list)[number] = inode;
}

static uint32_t file_inode(const struct mount *m, uint64_t number)
{
    CHECK(number < m->file_capacity && m->files[number]);
    return m->files[number];
}

static uint32_t dir_inode(const struct mount *m, uint64_t number)
{
    CHECK(number < m->dir_capacity && m->dirs[number]);
    return m->dirs[number];
}

static void follow_file(struct mount *m, const struct vfs_op *op)
{
    struct disk *d = m->disk;
    uint32_t inode = file_inode(m, op->file);
    struct disk_inode *n = find_inode(d, inode);
    struct pending *p;

    CHECK(n);
    if (n->cached && op->kind != VFS_OP_FILE_SYNC) write_cached(d, n, op);

    if (op->kind == VFS_OP_FILE_WRITE) {
        p = add_pending(d, PENDING_WRITE, inode);
        p->data = blob_of(d->alloc, op->data.data, op->data.size);
        p->offset = op->offset;
    } else if (op->kind == VFS_OP_FILE_TRUNCATE) {
        p = add_pending(d, PENDING_TRUNCATE, inode);
        p->offset = op->offset;
    }
    if (op->kind == VFS_OP_FILE_SYNC || n->is_lock) sync_file(d, inode);
}

static void follow(struct mount *m, const struct vfs_op *op)
{
    struct disk *d = m->disk;
    struct disk_inode *n;

    switch (op->kind) {
    case VFS_OP_DIR_MAKE: {
        uint32_t parent = dir_inode(m, op->dir);
        n = add_inode(d, true);
        note_number(d->alloc, &m->dirs, &m->dir_capacity, op->file, n->number);
        add_name(d, PENDING_LINK, parent, op->name, n->number);
        break;
    }
    case VFS_OP_FILE_CREATE:
        n = add_inode(d, false);
        n->is_lock = strcmp(op->name, "LOCK") == 0;
        note_number(d->alloc, &m->files, &m->file_capacity, op->file, n->number);
        add_name(d, PENDING_LINK, dir_inode(m, op->dir), op->name, n->number);
        break;
    case VFS_OP_DIR_REMOVE:
    case VFS_OP_FILE_UNLINK: {
        uint32_t dir = dir_inode(m, op->dir);
        add_name(d, PENDING_UNLINK, dir, op->name, look_up(d, dir, op->name));
        break;
    }
    case VFS_OP_FILE_RENAME: {
        uint32_t dir = dir_inode(m, op->dir), inode = look_up(d, dir, op->name);
        note_number(d->alloc, &m->files, &m->file_capacity, op->file, inode);
        add_name(d, PENDING_LINK, dir, op->name_to, inode);
        add_name(d, PENDING_UNLINK, dir, op->name, inode);
        d->pending[d->pending_count - 1].is_paired = true;
        break;
    }
    case VFS_OP_DIR_SYNC:
        sync_dir(d, dir_inode(m, op->dir));
        break;
    default:
        follow_file(m, op);
        break;
    }
}

static int observe(void *ctx, const struct vfs_op *op, struct error *err)
{
    struct mount *m = ctx;
    bool goes_on = !m->before || m->before(m->ctx, op);

    follow(m, op);
    if (goes_on && (!m->after || m->after(m->ctx, op))) return 0;
    return error_set(err, LYNSE_IO, "the power went away");
}

static void make_file(struct vfs_dir *dir, const char *name, const struct blob *b)
{
    struct vfs_file *f;

    CHECK(vfs_open(dir, name, VFS_WRITE | VFS_CREATE, &f, NULL) == 0);
    if (b && b->size > 0) CHECK(vfs_write(f, 0, b->bytes, b->size, NULL) == 0);
    CHECK(vfs_close(f, NULL) == 0);
}

/* The files of one directory, as the cache shows them. */
static void make_files(const struct disk *d, const struct disk *shown, uint32_t inode,
                       struct vfs_dir *dir)
{
    for (size_t i = 0; i < shown->name_count; i++) {
        const struct disk_name *n = &shown->names[i];
        if (n->dir != inode) continue;
        const struct disk_inode *file = find_inode(d, n->inode);
        if (file->is_dir) continue;
        struct blob *b = cached_of(d, file);
        make_file(dir, text_of(n->name), b);
        blob_release(d->alloc, b);
    }
}

/* Open each file and directory once, so that the numbers of the recording VFS are known. */
static void learn_numbers(struct mount *m, const struct disk *shown, uint32_t inode,
                          struct vfs_dir *dir)
{
    struct alloc *a = m->disk->alloc;
    struct error err = {0};
    struct vfs_file *f;

    note_number(a, &m->dirs, &m->dir_capacity, vfs_record_dir_number(dir), inode);
    for (size_t i = 0; i < shown->name_count; i++) {
        const struct disk_name *n = &shown->names[i];
        if (n->dir != inode || find_inode(m->disk, n->inode)->is_dir) continue;
        CHECK(vfs_open(dir, text_of(n->name), VFS_READ, &f, &err) == 0);
        note_number(a, &m->files, &m->file_capacity, vfs_record_file_number(f), n->inode);
        CHECK(vfs_close(f, &err) == 0);
    }
}

/* Names as they are now. */
static void show_names(struct disk *shown, const struct disk *d)
{
    disk_init(shown, d->alloc);
    for (size_t i = 0; i < d->name_count; i++)
        set_name(shown, d->names[i].dir, d->names[i].name, d->names[i].inode);
    for (size_t i = 0; i < d->pending_count; i++)
        if (d->pending[i].kind >= PENDING_LINK) apply_name(shown, &d->pending[i]);
    drop_unreachable(shown);
}

void mount_init(struct mount *m, struct disk *d, bool is_followed)
{
    struct disk shown;
    struct error err = {0};
    struct vfs_dir *root, *dir;

    *m = (struct mount){.disk = d, .memory = vfs_memory_create(d->alloc)};
    CHECK(m->memory);
    vfs_memory_set_total(m->memory, DISK_BYTES);
    show_names(&shown, d);
    CHECK(vfs_dir_open(m->memory, DISK_PATH, VFS_DIR_CREATE, &root, &err) == 0);
    make_files(d, &shown, DISK_ROOT, root);
    if (is_followed) {
        struct vfs_dir *root_followed;
        m->record = vfs_record_create(d->alloc, m->memory, observe, m);
        CHECK(m->record);
        CHECK(vfs_dir_open(m->record, DISK_PATH, 0, &root_followed, &err) == 0);
        learn_numbers(m, &shown, DISK_ROOT, root_followed);
        vfs_dir_close(root_followed);
    }
    for (size_t i = 0; i < shown.name_count; i++) {
        const struct disk_name *n = &shown.names[i];
        if (n->dir != DISK_ROOT || !find_inode(d, n->inode)->is_dir) continue;
        CHECK(vfs_dir_make(root, text_of(n->name), &err) == 0);
        CHECK(vfs_dir_open_in(root, text_of(n->name), &dir, &err) == 0);
        make_files(d, &shown, n->inode, dir);
        vfs_dir_close(dir);
        if (!is_followed) continue;
        struct vfs_dir *root_followed;
        CHECK(vfs_dir_open(m->record, DISK_PATH, 0, &root_followed, &err) == 0);
        CHECK(vfs_dir_open_in(root_followed, text_of(n->name), &dir, &err) == 0);
        learn_numbers(m, &shown, n->inode, dir);
        vfs_dir_close(dir);
        vfs_dir_close(root_followed);
    }
    vfs_dir_close(root);
    disk_deinit(&shown);
}

void mount_deinit(struct mount *m)
{
    vfs_record_destroy(m->record);
    vfs_memory_destroy(m->memory);
    mem_free(m->disk->alloc, m->files);
    mem_free(m->disk->alloc, m->dirs);
    *m = (struct mount){0};
}

uint32_t mount_inode(const struct mount *m, const struct vfs_file *f)
{
    return file_inode(m, vfs_record_file_number(f));
}
