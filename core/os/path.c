/* SPDX-License-Identifier: Apache-2.0 */
#include "os/path.h"

#include <string.h>

#include "base/limits.h"
#include "base/planted.h"

static const char DEFAULT_DATABASE[] = "default";
enum { COMPONENT_BYTES_MAX = 255 }; /* NAME_MAX of every file system we know */

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

int name_check(const char *what, struct slice name, struct error *err)
{
    if (name.size == 0) return error_set(err, LYNSE_INVALID, "%s name is empty", what);
    if (name.size > LIMIT_NAME_BYTES + PLANTED(CATALOG_NAME_BYTES))
        return error_set(err, LYNSE_LIMIT, "%s name has %zu bytes, the limit is %d", what,
                         name.size, LIMIT_NAME_BYTES);
    for (size_t i = 0; i < name.size; i++) {
        if (is_name_byte(name.data[i])) continue;
        return error_set(err, LYNSE_INVALID,
                         "%s name has byte 0x%02x at %zu; only ASCII letters, digits, '.', '_' "
                         "and '-' are allowed",
                         what, name.data[i], i);
    }
    if (slice_equal(name, slice_of_text(".")) || slice_equal(name, slice_of_text("..")))
        return error_set(err, LYNSE_INVALID, "%s name cannot be '.' or '..'", what);
    return 0;
}

int name_split(const char *text, struct slice *out_database, struct slice *out_collection,
               struct error *err)
{
    if (!text) return error_set(err, LYNSE_INVALID, "collection name is missing");
    struct slice database = slice_of_text(DEFAULT_DATABASE);
    struct slice collection = slice_of_text(text);
    const char *slash = strchr(text, '/');
    if (slash) {
        database = slice_of(text, (size_t)(slash - text));
        collection = slice_of_text(slash + 1);
    }
    if (name_check("database", database, err) != 0) return -1;
    if (name_check("collection", collection, err) != 0) return -1;
    *out_database = database;
    *out_collection = collection;
    return 0;
}

bool name_is_component(const char *name)
{
    if (!name || name[0] == '\0') return false;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    size_t size = strnlen(name, COMPONENT_BYTES_MAX + 1);
    return size <= COMPONENT_BYTES_MAX && memchr(name, '/', size) == NULL;
}

int name_check_component(const char *name, struct error *err)
{
    if (name_is_component(name)) return 0;
    return error_set(err, LYNSE_INVALID, "'%s' is not the name of a file", name ? name : "");
}

static const char temporary_prefix[] = "tmp-";
enum { TEMPORARY_PREFIX_BYTES = sizeof temporary_prefix - 1 };

void temporary_name(char out[TEMPORARY_NAME_BYTES], struct rng *rng)
{
    struct uuid uuid = uuid_make(rng);

    memcpy(out, temporary_prefix, TEMPORARY_PREFIX_BYTES);
    uuid_format(&uuid, out + TEMPORARY_PREFIX_BYTES);
}

bool name_is_temporary(const char *name)
{
    struct uuid any;

    if (strncmp(name, temporary_prefix, TEMPORARY_PREFIX_BYTES) != 0) return false;
    const char *uuid = name + TEMPORARY_PREFIX_BYTES;
    return uuid_parse(uuid, strlen(uuid), &any);
}
