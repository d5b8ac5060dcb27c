/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/limits.h"

enum { NAME_BYTES = 600 };

/* What the file begins with; the sections' bytes follow, one after another. */
struct image_head {
    double seconds[2];
    uint64_t section_count;
    struct index_section sections[INDEX_SECTIONS_MAX]; /* their `data` means nothing */
};

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "memory image: %s\n", why);
    exit(1);
}

static void *take_memory(size_t bytes)
{
    void *memory =
        mem_alloc_aligned(alloc_libc(), MEM_GENERAL, bytes > 0 ? bytes : 1, ALIGN_VECTOR);
    if (!memory) give_up("no memory");
    return memory;
}

/* ---- Writing ---- */

static struct memory_image *image_of(struct index_writer *w)
{
    return (struct memory_image *)(void *)((char *)w - offsetof(struct memory_image, writer));
}

static int image_begin(struct index_writer *w, uint32_t kind, uint32_t element_bytes,
                       uint64_t number, struct error *err)
{
    struct memory_image *m = image_of(w);
    (void)err;
    if (m->image.section_count == INDEX_SECTIONS_MAX) give_up("too many sections");
    m->sections[m->image.section_count] =
        (struct index_section){.kind = kind, .element_bytes = element_bytes, .number = number};
    m->room = 0;
    return 0;
}

static int image_write(struct index_writer *w, const void *data, size_t bytes, struct error *err)
{
    struct memory_image *m = image_of(w);
    struct index_section *s = &m->sections[m->image.section_count];
    (void)err;
    if (s->bytes + bytes > m->room) {
        size_t room = 2 * (s->bytes + bytes);
        void *larger = take_memory(room);
        if (s->bytes > 0) memcpy(larger, s->data, s->bytes);
        mem_free(alloc_libc(), (void *)(uintptr_t)s->data);
        s->data = larger;
        m->room = room;
    }
    if (bytes > 0) memcpy((char *)(uintptr_t)s->data + s->bytes, data, bytes);
    s->bytes += bytes;
    return 0;
}

/* To its exact size, for the count of bytes. */
static int image_end(struct index_writer *w, struct error *err)
{
    struct memory_image *m = image_of(w);
    struct index_section *s = &m->sections[m->image.section_count++];
    void *exact = take_memory(s->bytes);
    (void)err;
    if (s->bytes > 0) memcpy(exact, s->data, s->bytes);
    mem_free(alloc_libc(), (void *)(uintptr_t)s->data);
    s->data = exact;
    return 0;
}

static int image_read_at(const struct index_image *image, const struct index_section *section,
                         uint64_t offset, size_t bytes, void *out, struct error *err)
{
    (void)image, (void)err;
    memcpy(out, (const char *)section->data + offset, bytes);
    return 0;
}

void memory_image_init(struct memory_image *m)
{
    *m = (struct memory_image){.writer = {image_begin, image_write, image_end}};
    m->image.sections = m->sections;
    m->image.read_at = image_read_at;
}

size_t memory_image_bytes(const struct memory_image *m)
{
    size_t bytes = 0;
    for (size_t i = 0; i < m->image.section_count; i++) bytes += m->sections[i].bytes;
    return bytes;
}

/* ---- As a file ---- */

static void write_all(FILE *file, const void *data, size_t bytes, const char *path)
{
    if (bytes > 0 && fwrite(data, 1, bytes, file) != bytes) give_up(path);
}

/* Under another name until it is whole. */
void memory_image_save(const struct memory_image *m, const char *path, const double seconds[2])
{
    char part[NAME_BYTES];
    struct image_head head = {{seconds[0], seconds[1]}, m->image.section_count, {{0}}};
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "wb");
    if (!file) give_up(part);
    memcpy(head.sections, m->sections, sizeof head.sections);
    write_all(file, &head, sizeof head, part);
    for (size_t i = 0; i < m->image.section_count; i++)
        write_all(file, m->sections[i].data, m->sections[i].bytes, part);
    if (fclose(file) != 0 || rename(part, path) != 0) give_up(path);
}

bool memory_image_load(struct memory_image *m, const char *path, double seconds[2])
{
    struct image_head head;
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    if (fread(&head, sizeof head, 1, file) != 1 || head.section_count > INDEX_SECTIONS_MAX)
        give_up(path);
    memcpy(seconds, head.seconds, sizeof head.seconds);
    for (size_t i = 0; i < head.section_count; i++) {
        size_t bytes = head.sections[i].bytes;
        void *data = take_memory(bytes);
        if (bytes > 0 && fread(data, 1, bytes, file) != bytes) give_up(path);
        m->sections[i] = head.sections[i];
        m->sections[i].data = data;
    }
    m->image.section_count = head.section_count;
    fclose(file);
    return true;
}
