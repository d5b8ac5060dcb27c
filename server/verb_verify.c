/* SPDX-License-Identifier: Apache-2.0 */
/* verb_verify.c — `lynse verify PATH [--level quick|full|deep]`: looks at everything in a folder
 * and says what is wrong, as JSON on stdout.  It writes nothing, and a writer may have the folder
 * open.
 *
 * The status is 0 where nothing is wrong, 1 where something is; 2 where the command line is none; 3
 * where it could not look.  stdout is
 *     {"path": P, "level": L, "collections": [{"name": "database/collection", "records": N,
 *      "findings": [TEXT…], "indexes": [TEXT…]}…], "findings": N}
 */
#include <lynse.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/json.h"
#include "server/verbs.h"

enum { SOUND = 0, DAMAGED = 1, NO_COMMAND = 2, NOT_SEEN = 3, NAME_BYTES = 512 };

static const char *const level_names[] = {"quick", "full", "deep"};

struct verification {
    struct lynse *db;
    struct buf report;
    uint32_t level;
    size_t collection_count, finding_count;
};

static int fail(const struct lynse_error *err)
{
    fprintf(stderr, "lynse verify: %s: %s\n", lynse_error_name(err->code), err->text);
    return -1;
}

static int usage(FILE *to)
{
    fputs("usage: lynse verify PATH [--level quick|full|deep]\n"
          "quick: what opening reads; full (the default): every checksum, row and id; deep: and\n"
          "indexes against their rows.  The status is 0 where nothing is wrong, 1 where something "
          "is.\n",
          to);
    return to == stdout ? SOUND : NO_COMMAND;
}

static void write_text(struct buf *out, const char *text)
{
    struct slice s = slice_of_text(text);
    if (json_write_text(out, s, NULL) != 0) buf_append_text(out, "\"?\"");
}

static void report_begin(struct verification *v, const char *name, uint64_t record_count)
{
    buf_append_text(&v->report, "%s\n  {\"name\": ", v->collection_count++ > 0 ? "," : "");
    write_text(&v->report, name);
    buf_append_text(&v->report, ", \"records\": %llu, \"findings\": [",
                    (unsigned long long)record_count);
}

static void report_finding(struct verification *v, size_t i, const char *text)
{
    buf_append_text(&v->report, "%s\n    ", i > 0 ? "," : "");
    write_text(&v->report, text);
    v->finding_count++;
}

/* indexes: what was found of those that are sound; NULL: nothing was looked at. */
static void report_end(struct verification *v, const struct lynse_names *indexes)
{
    buf_append_text(&v->report, "], \"indexes\": [");
    for (size_t i = 0; indexes && i < indexes->count; i++) {
        buf_append_text(&v->report, "%s\n    ", i > 0 ? "," : "");
        write_text(&v->report, indexes->names[i]);
    }
    buf_append_text(&v->report, "]}");
}

static int verify_open(struct verification *v, struct lynse_collection *c, const char *name)
{
    struct lynse_names *findings = NULL, *indexes = NULL;
    struct lynse_verify_desc desc = {
        .struct_bytes = sizeof desc, .level = v->level, .out_indexes = &indexes};
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    struct lynse_error err = {0};

    if (lynse_collection_info(c, &info, &err) != 0 || lynse_verify(c, &desc, &findings, &err) != 0)
        return fail(&err);
    report_begin(v, name, info.live_count);
    for (size_t i = 0; i < findings->count; i++) report_finding(v, i, findings->names[i]);
    report_end(v, indexes);
    lynse_names_free(findings);
    lynse_names_free(indexes);
    return 0;
}

/* One that cannot be opened is a finding of its own. */
static int verify_collection(struct verification *v, const char *name)
{
    struct lynse_collection *c = NULL;
    struct lynse_error err = {0};

    if (lynse_collection_open(v->db, name, &c, &err) == 0) {
        int rc = verify_open(v, c, name);
        lynse_collection_close(c);
        return rc;
    }
    if (err.code != LYNSE_CORRUPT && err.code != LYNSE_IO && err.code != LYNSE_FORMAT_TOO_NEW)
        return fail(&err);
    report_begin(v, name, 0);
    report_finding(v, 0, err.text);
    report_end(v, NULL);
    return 0;
}

static int verify_database(struct verification *v, const char *database)
{
    struct lynse_names *names = NULL;
    struct lynse_error err = {0};
    char name[NAME_BYTES];
    int rc = 0;

    if (lynse_collection_list(v->db, database, &names, &err) != 0) return fail(&err);
    for (size_t i = 0; i < names->count && rc == 0; i++) {
        snprintf(name, sizeof name, "%s/%s", database, names->names[i]);
        rc = verify_collection(v, name);
    }
    lynse_names_free(names);
    return rc;
}

static int verify_root(struct verification *v)
{
    struct lynse_names *databases = NULL;
    struct lynse_error err = {0};
    int rc = 0;

    if (lynse_database_list(v->db, &databases, &err) != 0) return fail(&err);
    for (size_t i = 0; i < databases->count && rc == 0; i++)
        rc = verify_database(v, databases->names[i]);
    lynse_names_free(databases);
    return rc;
}

static int print_report(struct verification *v, const char *path)
{
    struct buf head;

    buf_init(&head, alloc_libc(), MEM_GENERAL);
    buf_append_text(&head, "{\"path\": ");
    write_text(&head, path);
    buf_append_text(&head, ", \"level\": \"%s\", \"collections\": [", level_names[v->level - 1]);
    buf_append_text(&v->report, "%s], \"findings\": %zu}\n", v->collection_count > 0 ? "\n" : "",
                    v->finding_count);
    bool is_whole = !head.failed && !v->report.failed;
    if (is_whole) {
        fwrite(head.data, 1, head.size, stdout);
        fwrite(v->report.data, 1, v->report.size, stdout);
    } else {
        fputs("lynse verify: NO_MEMORY: the report has no room\n", stderr);
    }
    buf_deinit(&head);
    if (!is_whole) return NOT_SEEN;
    return v->finding_count == 0 ? SOUND : DAMAGED;
}

/* 0; NO_COMMAND. */
static int read_line(int argc, char **argv, const char **out_path, uint32_t *out_level)
{
    const char *level = "full";

    *out_path = NULL;
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--level=", 8) == 0) level = argv[i] + 8;
        else if (strcmp(argv[i], "--level") == 0 && i + 1 < argc) level = argv[++i];
        else if (argv[i][0] == '-' || *out_path) return NO_COMMAND;
        else *out_path = argv[i];
    }
    for (uint32_t i = 0; i < 3; i++)
        if (strcmp(level, level_names[i]) == 0) *out_level = i + 1;
    return *out_path && *out_level ? 0 : NO_COMMAND;
}

int verb_verify(int argc, char **argv)
{
    struct verification v = {0};
    struct lynse_error err = {0};
    const char *path;

    if (argc > 2 && strcmp(argv[2], "--help") == 0) return usage(stdout);
    if (read_line(argc, argv, &path, &v.level) != 0) return usage(stderr);
    struct lynse_open_desc open = {.path = path,
                                   .flags = LYNSE_OPEN_READ_ONLY | LYNSE_OPEN_NO_CREATE};
    if (lynse_open(&open, &v.db, &err) != 0) {
        fail(&err);
        return err.code == LYNSE_CORRUPT ? DAMAGED : NOT_SEEN;
    }
    buf_init(&v.report, alloc_libc(), MEM_GENERAL);
    int status = verify_root(&v) == 0 ? print_report(&v, path) : NOT_SEEN;
    buf_deinit(&v.report);
    lynse_close(v.db, NULL);
    return status;
}
