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

static bool has_suffix(struct slice text, const char *suffix)
{
    size_t size = strlen(suffix);

    return text.size > size && http_is_word(slice_of(text.data + (text.size - size), size), suffix);
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

/* Of "host", "host:port", "[address]" and "[address]:port" what is before the port, without the
 * brackets. */
static struct slice cut_port(struct slice place)
{
    bool has_brackets = place.size > 0 && place.data[0] == '[';
    size_t begin = has_brackets, end = begin;

    while (end < place.size && place.data[end] != (has_brackets ? ']' : ':')) end++;
    return slice_of(place.data + begin, end - begin);
}

static bool is_local(struct slice place)
{
    if (http_is_word(place, "[::1]") || cut_prefix(&place, "[::1]:")) return true;
    struct slice host = cut_port(place);
    return http_is_word(host, "localhost") || has_suffix(host, ".localhost") ||
           is_loopback_v4(host);
}

static bool is_local_origin(struct slice origin)
{
    return (cut_prefix(&origin, "http://") || cut_prefix(&origin, "https://")) && is_local(origin);
}

const char *http_foreign_text(const struct http_parser *p, const char *listened)
{
    struct slice origin, host;
    uint32_t count = http_parser_find(p, "origin", &origin);

    if (count > 1 || (count == 1 && !is_local_origin(origin)))
        return "Origin: a server without a key serves no pages";
    if (!listened || http_parser_find(p, "host", &host) == 0) return NULL;
    if (is_local(host) || http_is_word(cut_port(host), listened)) return NULL;
    return "Host: a server without a key answers to localhost and its own address alone";
}
