/* SPDX-License-Identifier: Apache-2.0 */
/* http_text.c — see http_text.h. */
#include "server/http_text.h"

static const uint8_t byte_kinds[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* controls */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* controls */
    0, 7, 0, 1, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 2, /*  !"#$%&'()*+,-./ */
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 0, 6, 0, 2, /* 0123456789:;<=>? */
    2, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* @ABCDEFGHIJKLMNO */
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 4, 0, 4, 1, 7, /* PQRSTUVWXYZ[\]^_ */
    1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* `abcdefghijklmno */
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 1, 0, 7, 0, /* pqrstuvwxyz{|}~ */
};

bool http_is_kind(uint8_t byte, uint8_t kind)
{
    return byte < 128 && (byte_kinds[byte] & kind) != 0;
}

size_t http_span(struct slice text, uint8_t kind)
{
    size_t n = 0;
    while (n < text.size && http_is_kind(text.data[n], kind)) n++;
    return n;
}

bool http_is_token(struct slice text)
{
    return text.size > 0 && http_span(text, HTTP_IN_TOKEN) == text.size;
}

/* Without a branch in the loop, so that the compiler makes vectors of it. */
bool http_is_field_value(struct slice text)
{
    unsigned bad = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bad |= (unsigned)((byte < 0x20) & (byte != '\t')) | (unsigned)(byte == 0x7f);
    }
    return bad == 0;
}

bool http_is_word(struct slice text, const char *word)
{
    return slice_equal_word(text, slice_of_text(word));
}

struct slice http_trim(struct slice text)
{
    size_t from = 0;
    size_t to = text.size;
    while (from < to && http_is_space(text.data[from])) from++;
    while (to > from && http_is_space(text.data[to - 1])) to--;
    return text.size ? slice_of(text.data + from, to - from) : text;
}

bool http_list_next(struct slice *list, uint8_t separator, struct slice *out_item)
{
    while (list->size > 0) {
        const uint8_t *end = memchr(list->data, separator, list->size);
        size_t size = end ? (size_t)(end - list->data) : list->size;
        size_t used = end ? size + 1 : size;
        struct slice item = http_trim(slice_of(list->data, size));
        *list = slice_of(list->data + used, list->size - used);
        if (item.size == 0) continue;
        *out_item = item;
        return true;
    }
    return false;
}
