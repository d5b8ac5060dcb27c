/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http_origin.h"

#include <stdint.h>
#include <string.h>

#include "server/http_text.h"

static bool cut_prefix(struct slice *text, const char *prefix)
{
    size_t size = strlen(prefix);

    if (text->size < size || !slice_equal_word(slice_of(text->data, size), slice_of_text(prefix)))
        return false;
    *text = slice_of(text->data + size, text->size - size);
    return true;
}

/* Digits and dots alone: "127.example.org" is a name. */
static bool is_loopback_v4(struct slice host)
{
    struct slice rest = host;

    if (!cut_prefix(&rest, "127.")) return false;
    for (size_t i = 0; i < rest.size; i++)
        if (rest.data[i] != '.' && (rest.data[i] < '0' || rest.data[i] > '9')) return false;
    return true;
}

bool http_origin_is_local(struct slice origin)
{
    if (!cut_prefix(&origin, "http://") && !cut_prefix(&origin, "https://")) return false;
    if (http_is_word(origin, "[::1]") || cut_prefix(&origin, "[::1]:")) return true;
    const uint8_t *colon = origin.size ? memchr(origin.data, ':', origin.size) : NULL;
    struct slice host = slice_of(origin.data, colon ? (size_t)(colon - origin.data) : origin.size);
    return http_is_word(host, "localhost") || is_loopback_v4(host);
}
