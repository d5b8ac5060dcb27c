/* SPDX-License-Identifier: Apache-2.0 */
/* options.c — the values of OPTIONS(_) from four sources.
 *
 * WHAT        The command line is read first, since it names the config file; then the environment
 *             for what it left open, then the file.  All values are texts until option_set, which
 *             is the one place that knows kinds and ranges.
 * INVARIANTS  (1) A value is replaced by one of a source that goes before alone; on the command
 *                 line the last one counts.
 *             (2) No text of a SECRET is printed, nor in an error.
 */
#include "server/options.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/suggest.h"
#include "server/config_file.h"

enum { NAME_BYTES_MAX = 63 };

enum option_kind { KIND_TEXT, KIND_SECRET, KIND_FLAG, KIND_NUMBER, KIND_SIZE, KIND_LEVEL };

static const struct option_row {
    enum option_kind kind;
    size_t offset;
    const char *name, *otherwise;
    uint64_t low, high, unit;
    const char *others, *environment, *help;
} rows[OPTION_COUNT] = {
#define OPTION_ROW(field, kind, name, otherwise, low, high, unit, others, environment, help)       \
    {KIND_##kind, offsetof(struct server_options, field),                                          \
     name,        otherwise,                                                                       \
     low,         (uint64_t)(high),                                                                \
     unit,        others,                                                                          \
     environment, help},
    OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

static const char *const planned_names[] = {
#define PLANNED_NAME(name) name,
    OPTIONS_PLANNED(PLANNED_NAME)
#undef PLANNED_NAME
};

static const char *const level_words[] = {"debug", "info", "warn", "error"};
_Static_assert(LOG_DEBUG == 0 && LOG_ERROR == 3, "the words are in the order of the levels");

/* ---- Names ---- */

/* One word of a list with spaces, advancing it; false at the end. */
static bool next_word(const char **list, struct slice *out)
{
    while (**list == ' ') (*list)++;
    size_t size = strcspn(*list, " ");
    *out = slice_of(*list, size);
    *list += size;
    return size > 0;
}

static bool has_word(const char *list, struct slice word)
{
    struct slice found;

    while (next_word(&list, &found))
        if (slice_equal(found, word)) return true;
    return false;
}

static const struct option_row *find_row(struct slice name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (slice_equal(slice_of_text(rows[i].name), name) || has_word(rows[i].others, name))
            return &rows[i];
    return NULL;
}

/* `shown` is the name as it was written. */
static int refuse_name(struct slice name, const char *prefix, struct slice shown, struct error *err)
{
    struct suggestion near;
    int size = shown.size < 64 ? (int)shown.size : 64;
    char spelt[NAME_BYTES_MAX + 1];

    for (size_t i = 0; i < sizeof planned_names / sizeof *planned_names; i++)
        if (slice_equal(slice_of_text(planned_names[i]), name))
            return error_set(err, LYNSE_UNSUPPORTED, "%.*s: clusters are not there yet", size,
                             (const char *)shown.data);
    suggestion_begin(&near, name);
    for (size_t i = 0; i < OPTION_COUNT; i++) suggestion_offer(&near, rows[i].name);
    if (!near.best)
        return error_set(err, LYNSE_INVALID, "there is no option '%.*s'", size,
                         (const char *)shown.data);
    snprintf(spelt, sizeof spelt, "%s%s", prefix, near.best);
    for (char *at = spelt; *prefix && *at; at++)
        if (*at == '_') *at = '-';
    return error_set(err, LYNSE_INVALID, "there is no option '%.*s'; did you mean '%s'?", size,
                     (const char *)shown.data, spelt);
}

/* ---- Values ---- */

static bool parse_flag(const char *text, bool *out)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!slice_equal_word(slice_of_text(text), slice_of_text(words[i]))) continue;
        *out = i % 2;
        return true;
    }
    return false;
}

static bool parse_level(const char *text, unsigned *out)
{
    for (unsigned i = 0; i < sizeof level_words / sizeof *level_words; i++) {
        if (!slice_equal_word(slice_of_text(text), slice_of_text(level_words[i]))) continue;
        *out = i;
        return true;
    }
    return false;
}

static bool parse_number(const struct option_row *row, const char *text, uint64_t *out)
{
    size_t size = strlen(text);

    if (size == 0 || size > 19 || strspn(text, "0123456789") != size) return false;
    *out = strtoull(text, NULL, 10);
    return *out >= row->low && *out <= row->high;
}

static const char *source_word(const struct option_origin *origin)
{
    return origin->source == SOURCE_DEFAULT ? "default" : origin->name;
}

static int refuse_value(const struct option_row *row, const struct option_origin *origin,
                        struct error *err)
{
    const char *from = source_word(origin);

    switch (row->kind) {
    case KIND_SECRET:
        return error_set(err, LYNSE_LIMIT, "%s: must have %llu to %llu bytes (from %s)", row->name,
                         (unsigned long long)row->low, (unsigned long long)row->high, from);
    case KIND_TEXT:
        return error_set(err, LYNSE_LIMIT, "%s: %zu bytes, must be %llu to %llu (from %s)",
                         row->name, strlen(origin->text), (unsigned long long)row->low,
                         (unsigned long long)row->high, from);
    case KIND_FLAG:
        return error_set(err, LYNSE_INVALID, "%s: '%.64s' must be true or false (from %s)",
                         row->name, origin->text, from);
    case KIND_LEVEL:
        return error_set(err, LYNSE_INVALID,
                         "%s: '%.64s' must be debug, info, warn or error (from %s)", row->name,
                         origin->text, from);
    default:
        return error_set(err, LYNSE_INVALID, "%s: '%.64s' must be a number, %llu to %llu (from %s)",
                         row->name, origin->text, (unsigned long long)row->low,
                         (unsigned long long)row->high, from);
    }
}

static int option_set(struct options_reading *r, const struct option_row *row,
                      struct option_origin origin, struct error *err)
{
    struct option_origin *place = &r->origins[row - rows];
    char *field = (char *)&r->values + row->offset;
    size_t size = strlen(origin.text);
    unsigned level = 0;
    uint64_t number = 0;
    bool flag = false, is_right;

    if (row->kind == KIND_FLAG) is_right = parse_flag(origin.text, &flag);
    else if (row->kind == KIND_LEVEL) is_right = parse_level(origin.text, &level);
    else if (row->kind == KIND_NUMBER || row->kind == KIND_SIZE)
        is_right = parse_number(row, origin.text, &number);
    else if (size == 0 && row->kind == KIND_TEXT && !row->otherwise) is_right = true; /* none */
    else is_right = size >= row->low && size <= row->high;
    if (!is_right) return refuse_value(row, &origin, err);
    if (place->source > origin.source) return 0; /* (1) */
    *place = origin;
    number *= row->unit;
    if (row->kind == KIND_FLAG) *(bool *)(void *)field = flag;
    else if (row->kind == KIND_LEVEL) *(unsigned *)(void *)field = level;
    else if (row->kind == KIND_NUMBER) *(unsigned *)(void *)field = (unsigned)number;
    else if (row->kind == KIND_SIZE) *(uint64_t *)(void *)field = number;
    else *(const char **)(void *)field = size ? origin.text : NULL;
    return 0;
}

static char *keep(struct options_reading *r, struct slice text, struct error *err)
{
    char *kept = arena_copy_text(&r->texts, (const char *)text.data, text.size);
    if (!kept) error_no_memory(err, text.size);
    return kept;
}

/* ---- The command line ---- */

struct arguments_left {
    int count;
    char **at;
};

/* "--no-audit-log" is false of a flag. */
static const struct option_row *find_negated(struct slice name)
{
    if (name.size <= 3 || memcmp(name.data, "no_", 3) != 0) return NULL;
    const struct option_row *row = find_row(slice_of(name.data + 3, name.size - 3));
    return row && row->kind == KIND_FLAG ? row : NULL;
}

/* The text behind "=", or the next word of the command line. */
static const char *take_text(const char *word, struct slice name, struct arguments_left *left,
                             struct error *err)
{
    if (word[2 + name.size] == '=') return word + 2 + name.size + 1;
    if (left->count == 0) {
        error_set(err, LYNSE_INVALID, "%s: no value behind it", word);
        return NULL;
    }
    left->count--;
    return *left->at++;
}

static int read_flag(struct options_reading *r, const char *word, struct arguments_left *left,
                     const char **config_path, struct error *err)
{
    char name_bytes[NAME_BYTES_MAX + 1];
    struct slice shown = slice_of(word, strcspn(word, "="));

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        r->wants_help = true;
        return 0;
    }
    if (strncmp(word, "--", 2) != 0 || shown.size <= 2 || shown.size - 2 > NAME_BYTES_MAX)
        return error_set(err, LYNSE_INVALID, "'%.64s' is no option; options begin with --", word);
    struct slice name = slice_of(name_bytes, shown.size - 2);
    for (size_t i = 0; i < name.size; i++) name_bytes[i] = word[2 + i] == '-' ? '_' : word[2 + i];
    name_bytes[name.size] = '\0';

    const char *shown_text = keep(r, shown, err);
    if (!shown_text) return -1;
    struct option_origin origin = {SOURCE_COMMAND_LINE, shown_text, "true"};
    const struct option_row *row = find_row(name);
    bool is_config = slice_equal(name, slice_of_text("config"));
    bool is_role = slice_equal(name, slice_of_text("role"));
    if (!row && !is_config && !is_role) {
        row = find_negated(name);
        if (!row || word[shown.size] == '=') return refuse_name(name, "--", shown, err);
        origin.text = "false";
        return option_set(r, row, origin, err);
    }
    if (!row || row->kind != KIND_FLAG || word[shown.size] == '=')
        origin.text = take_text(word, name, left, err);
    if (!origin.text) return -1;
    if (is_config) *config_path = origin.text;
    else if (!is_role) return option_set(r, row, origin, err);
    else if (strcmp(origin.text, "single") != 0)
        return error_set(err, LYNSE_UNSUPPORTED, "--role: clusters are not there yet");
    return 0;
}

/* ---- The environment ---- */

static int read_variable(struct options_reading *r, const struct option_row *row,
                         struct slice variable, struct error *err)
{
    const char *name = keep(r, variable, err);
    if (!name) return -1;
    const char *text = getenv(name);
    if (!text || !*text || r->origins[row - rows].source >= SOURCE_ENVIRONMENT) return 0;
    return option_set(r, row, (struct option_origin){SOURCE_ENVIRONMENT, name, text}, err);
}

static int read_environment(struct options_reading *r, struct error *err)
{
    const char *role = getenv("LYNSE_ROLE");

    if (role && *role && strcmp(role, "single") != 0)
        return error_set(err, LYNSE_UNSUPPORTED, "LYNSE_ROLE: clusters are not there yet");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char own[NAME_BYTES_MAX + 1];
        int size = snprintf(own, sizeof own, "LYNSE_%s", rows[i].name);
        for (char *at = own; *at; at++)
            if (*at >= 'a' && *at <= 'z') *at = (char)(*at - 'a' + 'A');
        if (read_variable(r, &rows[i], slice_of(own, (size_t)size), err) != 0) return -1;
        const char *others = rows[i].environment;
        struct slice variable;
        while (next_word(&others, &variable))
            if (read_variable(r, &rows[i], variable, err) != 0) return -1;
    }
    return 0;
}

/* ---- The config file ---- */

struct file_reading {
    struct options_reading *reading;
    const char *path;
};

static int take_key(void *ctx, struct slice key, struct slice value, struct error *err)
{
    struct file_reading *f = ctx;
    const struct option_row *row = find_row(key);

    if (slice_equal(key, slice_of_text("role"))) {
        if (slice_equal(value, slice_of_text("single"))) return 0;
        return error_set(err, LYNSE_UNSUPPORTED, "%s: role: clusters are not there yet", f->path);
    }
    if (!row) {
        refuse_name(key, "", key, err);
        return error_wrap(err, "%s", f->path);
    }
    if (value.size && memchr(value.data, '\0', value.size))
        return error_set(err, LYNSE_INVALID, "%s: %s: has a NUL byte", f->path, row->name);
    const char *text = keep(f->reading, value, err);
    if (!text) return -1;
    return option_set(f->reading, row, (struct option_origin){SOURCE_FILE, f->path, text}, err);
}

/* ---- All of it ---- */

static int read_key_file(struct options_reading *r, struct error *err)
{
    const struct option_origin of_file = r->origins[OPTION_api_key_file];
    const struct option_origin *of_key = &r->origins[OPTION_api_key];
    char key[LIMIT_KEY_BYTES + 1];

    if (!r->values.api_key_file || of_key->source > of_file.source) return 0;
    if (r->values.api_key && of_key->source == of_file.source)
        return error_set(err, LYNSE_INVALID,
                         "api_key (from %s) and api_key_file (from %s): one of them is enough",
                         of_key->name, of_file.name);
    long size = config_file_read_line(r->values.api_key_file, key, sizeof key, err);
    if (size < 0) return error_wrap(err, "api_key_file");
    const char *kept = keep(r, slice_of(key, (size_t)size), err);
    if (!kept) return -1;
    return option_set(r, &rows[OPTION_api_key],
                      (struct option_origin){of_file.source, r->values.api_key_file, kept}, err);
}

static int set_defaults(struct options_reading *r, struct error *err)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        struct option_origin origin = {SOURCE_DEFAULT, NULL, rows[i].otherwise};
        if (origin.text && option_set(r, &rows[i], origin, err) != 0) return -1;
    }
    return 0;
}

int options_read(struct options_reading *r, int argc, char **argv, int first, struct error *err)
{
    struct arguments_left left = {argc - first, argv + first};
    const char *config_path = NULL;

    *r = (struct options_reading){0};
    arena_init(&r->texts, alloc_libc(), MEM_GENERAL);
    if (set_defaults(r, err) != 0) return -1;
    while (left.count > 0) {
        const char *word = *left.at++;
        left.count--;
        if (read_flag(r, word, &left, &config_path, err) != 0) return -1;
    }
    if (r->wants_help) return 0;
    if (read_environment(r, err) != 0) return -1;
    struct file_reading file = {r, config_path};
    if (config_path && config_file_read(config_path, take_key, &file, err) != 0)
        return error_wrap(err, "--config");
    return read_key_file(r, err);
}

void options_deinit(struct options_reading *r)
{
    arena_deinit(&r->texts);
}

static bool is_loopback(const char *host)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (strcmp(host, "localhost") == 0) return true;
    if (uv_ip4_addr(host, 0, &v4) == 0) return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    return uv_ip6_addr(host, 0, &v6) == 0 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

int options_check(const struct server_options *o, struct error *err)
{
    if (!o->host && !o->socket)
        return error_set(err, LYNSE_INVALID,
                         "host is empty and there is no socket: nothing to "
                         "listen at");
    if (!o->host || is_loopback(o->host)) return 0;
    if (!o->api_key)
        return error_set(err, LYNSE_INVALID,
                         "host: %.64s is beyond this machine and asks for a key: set LYNSE_API_KEY "
                         "or --api-key-file",
                         o->host);
    if (!o->is_insecure)
        return error_set(
            err, LYNSE_INVALID,
            "host: %.64s is beyond this machine, and there is no TLS yet: key and data "
            "travel in clear; say --insecure where the network is yours",
            o->host);
    return 0;
}

/* ---- Printing ---- */

static void print_flag(const char *name, FILE *to)
{
    fputs("--", to);
    for (; *name; name++) fputc(*name == '_' ? '-' : *name, to);
}

void options_print_help(FILE *to)
{
    fputs("usage: lynse serve [OPTION]...\n\n", to);
    fputs("  --config FILE\n        JSON, INI or Lua: docs/OPTIONS.md\n", to);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &rows[i];
        static const char *const kinds[] = {" TEXT", " TEXT", "", " NUMBER", " NUMBER", " LEVEL"};
        fputs("  ", to);
        print_flag(row->name, to);
        fputs(kinds[row->kind], to);
        if (row->otherwise && *row->otherwise && row->kind != KIND_FLAG)
            fprintf(to, "   [%s]", row->otherwise);
        fprintf(to, "\n        %s\n", row->help);
    }
}

void options_print_values(const struct options_reading *r, FILE *to)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_origin *origin = &r->origins[i];
        const char *text = origin->text ? origin->text : "";
        if (rows[i].kind == KIND_SECRET && *text) text = "(set)";
        fprintf(to, "%-28s %-20s %s\n", rows[i].name, *text ? text : "-", source_word(origin));
    }
}
