/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_image.h"

const struct index_section *index_image_find(const struct index_image *image, uint32_t kind)
{
    for (size_t i = 0; i < image->section_count; i++)
        if (image->sections[i].kind == kind) return &image->sections[i];
    return NULL;
}

int index_image_require(const struct index_image *image, uint32_t kind, uint32_t element_bytes,
                        uint64_t bytes, const void **out, struct error *err)
{
    const struct index_section *s = index_image_find(image, kind);

    if (!s || !s->data) return error_set(err, LYNSE_CORRUPT, "the index has no section %u", kind);
    if (s->element_bytes != element_bytes || s->bytes != bytes)
        return error_set(err, LYNSE_CORRUPT,
                         "section %u of the index has %llu bytes in elements of %u, not %llu of %u",
                         kind, (unsigned long long)s->bytes, s->element_bytes,
                         (unsigned long long)bytes, element_bytes);
    *out = s->data;
    return 0;
}

int index_write_section(struct index_writer *w, uint32_t kind, uint32_t element_bytes,
                        uint64_t number, const void *data, size_t bytes, struct error *err)
{
    if (w->begin(w, kind, element_bytes, number, err) != 0) return -1;
    if (bytes > 0 && w->write(w, data, bytes, err) != 0) return -1;
    return w->end(w, err);
}
