/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api_fixture.h"

/* ---- what is in a folder ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[2 * TEMP_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Entries but "." and "..". */
static size_t count_entries(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return count;
}

/* Run fn in a forked child, which leaves by its result: 0 is good. */
static void in_child(int (*fn)(struct fixture *f), struct fixture *f)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(fn(f));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child ended with 0x%x", (unsigned)status);
}

/* ---- life ---- */

static void a_root_keeps_what_was_written_across_reopening(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    for (uint64_t round = 0; round < 4; round++) {
        add_numbers(f, round * 10, 10);
        if (round == 1) assert_done(lynse_flush(f->docs, &f->err), f);
        fixture_reopen(f);
        assert_int_equal(count_rows(f), round * 10 + 10);
        assert_int_equal(field_of(f, number_id(round * 10 + 3)), round * 10 + 3);
    }
}

static void a_memory_root_vanishes_with_its_handle(void **state)
{
    struct fixture *f = *state;
    struct lynse_names *names;
    if (!f->variant->in_memory) return;
    fixture_make_docs(f);
    add_numbers(f, 0, 10);
    assert_done(lynse_flush(f->docs, &f->err), f);
    fixture_close(f);
    fixture_open(f);
    assert_done(lynse_database_list(f->db, &names, &f->err), f);
    assert_int_equal(names->count, 0);
    lynse_names_free(names);
}

static void two_memory_roots_are_apart(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;
    int there = -1;
    strcpy(other.path, ":memory:");
    fixture_make_docs(f);
    fixture_open(&other);
    assert_done(lynse_collection_exists(other.db, "docs", &there, &other.err), &other);
    assert_false(there);
    fixture_close(&other);
}

static void close_takes_handles_scans_and_searches_with_it(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection *again;
    struct lynse_scan *scan;
    struct lynse_search *search;
    float query[] = {1, 2, 3};
    struct lynse_search_desc desc = {.vector = query, .dim = 3};
    fixture_make_docs(f);
    add_numbers(f, 0, 50);
    assert_done(lynse_flush(f->docs, &f->err), f);
    add_numbers(f, 50, 5);
    assert_done(lynse_collection_open(f->db, "docs", &again, &f->err), f);
    assert_done(lynse_scan_begin(again, 0, &scan, &f->err), f);
    assert_done(lynse_search_begin(f->docs, &desc, &search), f);
    fixture_close(f);
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    assert_int_equal(lynse_close(NULL, NULL), LYNSE_OK);
    lynse_collection_close(NULL);
    lynse_hits_free(NULL);
    lynse_names_free(NULL);
    lynse_scan_free(NULL);
    lynse_search_cancel(NULL);
}

/* ---- descs ---- */

static void a_desc_of_another_size_is_taken_when_it_can_be(void **state)
{
    struct fixture *f = *state;
    struct {
        struct lynse_collection_desc known;
        uint64_t newer;
    } d = {.known = {.name = "sized", .dim = 2}};
    struct lynse_collection *c;
    f->err.code = -7;
    d.known.struct_bytes = sizeof d;
    assert_done(lynse_collection_create(f->db, &d.known, &c, &f->err), f);
    assert_int_equal(f->err.code, -7); /* written only on failure */
    lynse_collection_close(c);
    d.known.name = "newer";
    d.newer = 1;
    assert_refused(lynse_collection_create(f->db, &d.known, &c, &f->err), f, LYNSE_UNSUPPORTED,
                   "desc", "does not know");
    d.known.struct_bytes = 8;
    assert_refused(lynse_collection_create(f->db, &d.known, &c, &f->err), f, LYNSE_INVALID,
                   "struct_bytes", "8");
    d.known.struct_bytes = UINT32_MAX; /* must not be believed */
    assert_refused(lynse_collection_create(f->db, &d.known, &c, &f->err), f, LYNSE_INVALID,
                   "struct_bytes", "4294967295");
    assert_refused(lynse_collection_create(f->db, NULL, &c, &f->err), f, LYNSE_INVALID, "missing");
}

static void every_desc_doubts_its_size(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.struct_bytes = UINT32_MAX, .dim = 3, .count = 1, .vectors = vector};
    struct lynse_write_options options = {.struct_bytes = 4};
    struct lynse_search_desc query = {
        .struct_bytes = UINT32_MAX, .vector = vector, .dim = 3, .error = &f->err};
    struct lynse_collection_info info = {.struct_bytes = UINT32_MAX};
    struct lynse_open_desc open = fixture_desc(f);
    struct lynse *db = NULL;
    struct lynse_hits *hits;
    struct lynse_search *search;
    fixture_make_docs(f);
    assert_refused(lynse_add(f->docs, &rows, NULL, NULL, &f->err), f, LYNSE_INVALID,
                   "struct_bytes");
    rows.struct_bytes = 0;
    assert_refused(lynse_add(f->docs, &rows, &options, NULL, &f->err), f, LYNSE_INVALID,
                   "struct_bytes", "4");
    assert_refused(lynse_collection_info(f->docs, &info, &f->err), f, LYNSE_INVALID,
                   "struct_bytes");
    info.struct_bytes = 4;
    assert_refused(lynse_collection_info(f->docs, &info, &f->err), f, LYNSE_INVALID,
                   "struct_bytes");
    assert_int_equal(lynse_search(f->docs, &query, &hits), LYNSE_INVALID);
    /* The error's place is behind what a short desc has. */
    query.struct_bytes = 16;
    query.error = (struct lynse_error *)(uintptr_t)16;
    assert_int_equal(lynse_search(f->docs, &query, &hits), LYNSE_INVALID);
    assert_int_equal(lynse_search_begin(f->docs, &query, &search), LYNSE_INVALID);
    open.struct_bytes = UINT32_MAX;
    assert_refused(lynse_open(&open, &db, &f->err), f, LYNSE_INVALID, "struct_bytes");
    assert_null(db);
    assert_int_equal(count_rows(f), 0);
}

static void a_bad_open_desc_names_its_field(void **state)
{
    struct fixture *f = *state;
    const struct lynse_open_desc good = fixture_desc(f);
    struct lynse *db = NULL;
    struct lynse_open_desc d;
#define REFUSED(change, ...)                                                                       \
    d = good;                                                                                      \
    d.path = ":memory:";                                                                           \
    change;                                                                                        \
    assert_refused(lynse_open(&d, &db, &f->err), f, LYNSE_INVALID, __VA_ARGS__);
    REFUSED(d.path = NULL, "path")
    REFUSED(d.path = "", "path")
    REFUSED(d.flags = 1u << 30, "flags", "0x40000000")
    REFUSED(d.flags = LYNSE_OPEN_IMMUTABLE, "LYNSE_OPEN_IMMUTABLE")
    REFUSED(d.mode = 2, "mode", "2", "1")
    REFUSED(d.sync = 5, "sync", "5", "4")
    REFUSED(d.sync_interval_ms = 1001, "sync_interval_ms", "1001", "1000")
    REFUSED(d.actor_threads = 257, "actor_threads", "257", "256")
    REFUSED(d.search_threads = 257, "search_threads", "257", "256")
    REFUSED(d.job_threads = 257, "job_threads", "257", "256")
    REFUSED(d.allocator.free = NULL, "allocator")
#undef REFUSED
    assert_int_equal(lynse_open(NULL, &db, NULL), LYNSE_INVALID);
    assert_null(db);
}

/* ---- folders that are not ours ---- */

static void a_foreign_folder_is_named_and_left_alone(void **state)
{
    static const struct {
        const char *file, *whose;
    } known[] = {
        {"collections.json", "LynseDB"}, {"fields.stable_ids", "LynseDB"},
        {"chroma.sqlite3", "Chroma"},    {"table.lance", "LanceDB"},
        {"raft_state.json", "Qdrant"},   {"holiday.jpg", "not empty"},
        {"catalog-x", "not empty"},      {"catalog-01", "not empty"},
    };
    struct fixture *f = *state;
    char folder[TEMP_PATH_BYTES];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct lynse_open_desc desc = fixture_desc(f);
        struct lynse *db = NULL;
        temp_dir_make(folder);
        write_file(folder, known[i].file, "hello");
        desc.path = folder;
        for (unsigned read_only = 0; read_only < 2; read_only++) {
            desc.flags = read_only ? LYNSE_OPEN_READ_ONLY : 0;
            if (read_only) assert_int_not_equal(lynse_open(&desc, &db, &f->err), LYNSE_OK);
            else
                assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_INVALID, known[i].whose,
                               folder);
            assert_null(db);
            assert_int_equal(count_entries(folder), 1);
        }
        temp_dir_remove(folder);
    }
}

static void a_catalog_that_is_not_ours_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    char folder[TEMP_PATH_BYTES];
    struct lynse_open_desc desc = fixture_desc(f);
    struct lynse *db = NULL;
    temp_dir_make(folder);
    write_file(folder, "catalog-1", "of a library");
    desc.path = folder;
    assert_int_not_equal(lynse_open(&desc, &db, &f->err), LYNSE_OK);
    assert_null(db);
    assert_int_equal(count_entries(folder), 1);
    temp_dir_remove(folder);
}

static void what_an_interrupted_creation_leaves_does_not_stop_the_next(void **state)
{
    struct fixture *f = *state;
    char folder[TEMP_PATH_BYTES];
    struct fixture other = *f;
    temp_dir_make(folder);
    write_file(folder, "LOCK", "");
    write_file(folder, "tmp-0123456789abcdef0123456789abcdef", "half a catalog");
    strcpy(other.path, folder);
    fixture_open(&other);
    fixture_close(&other);
    assert_int_equal(count_entries(folder), 2); /* LOCK and the catalog */
    temp_dir_remove(folder);
}

static void a_path_that_cannot_be_a_root_is_refused(void **state)
{
    struct fixture *f = *state;
    char folder[TEMP_PATH_BYTES], path[2 * TEMP_PATH_BYTES];
    struct lynse_open_desc desc = fixture_desc(f);
    struct lynse *db = NULL;
    temp_dir_make(folder);
    write_file(folder, "a_file", "x");
    desc.path = path;
    snprintf(path, sizeof path, "%s/a_file", folder);
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_INVALID, "a_file");
    snprintf(path, sizeof path, "%s/a_file/below", folder);
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_INVALID, "a_file");
    snprintf(path, sizeof path, "%s/no/parent", folder);
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_NOT_FOUND, "no/parent");
    snprintf(path, sizeof path, "%s/absent", folder);
    desc.flags = LYNSE_OPEN_NO_CREATE;
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_NOT_FOUND, "absent");
    desc.flags = LYNSE_OPEN_READ_ONLY;
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_NOT_FOUND, "absent");
    assert_int_equal(count_entries(folder), 1);
    desc.flags = LYNSE_OPEN_NO_CREATE;
    snprintf(path, sizeof path, "%s", folder);
    assert_int_equal(unlink(strcat(path, "/a_file")), 0);
    snprintf(path, sizeof path, "%s", folder);
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_NOT_FOUND, folder);
    assert_int_equal(count_entries(folder), 0);
    temp_dir_remove(folder);
}

/* As a user who may not write there; the child has no thread but its own. */
static int open_without_permission(struct fixture *f)
{
    struct lynse_open_desc desc = {.path = "root", .mode = LYNSE_INLINE};
    struct lynse *db = NULL;
    if (chdir(f->folder) != 0 || setgid(65534) != 0 || setuid(65534) != 0) return 10;
    int code = lynse_open(&desc, &db, &f->err);
    if (code != LYNSE_READ_ONLY && code != LYNSE_LOCKED) {
        fprintf(stderr, "code %d: %s\n", code, f->err.text);
        return 11;
    }
    desc.path = "another";
    if (lynse_open(&desc, &db, &f->err) != LYNSE_READ_ONLY) return 12;
    if (!strstr(f->err.text, "another")) return 13;
    return db ? 14 : 0;
}

static void a_folder_without_permission_is_read_only(void **state)
{
    struct fixture *f = *state;
    if (getuid() != 0) return; /* nobody else can become somebody else */
    fixture_close(f);
    size_t before = count_entries(f->path);
    assert_int_equal(chmod(f->folder, 0755), 0);
    assert_int_equal(chmod(f->path, 0755), 0);
    in_child(open_without_permission, f);
    assert_int_equal(count_entries(f->path), before);
    assert_int_equal(count_entries(f->folder), 1);
    fixture_open(f);
}

/* ---- locks, forks ---- */

static void a_second_writer_of_this_process_is_refused(void **state)
{
    struct fixture *f = *state;
    struct lynse_open_desc desc = fixture_desc(f);
    struct lynse *db = NULL;
    char path[2 * TEMP_PATH_BYTES];
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_LOCKED, "this process");
    snprintf(path, sizeof path, "%s/../root/.", f->path);
    desc.path = path;
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_LOCKED);
    assert_null(db);
    fixture_make_docs(f); /* the first one goes on */
    add_numbers(f, 0, 3);
}

static int open_as_second_writer(struct fixture *f)
{
    struct lynse_open_desc desc = {.path = f->path, .mode = LYNSE_INLINE};
    struct lynse *db = NULL;
    char pid[32];
    snprintf(pid, sizeof pid, "process %d ", (int)getppid());
    if (lynse_open(&desc, &db, &f->err) != LYNSE_LOCKED) return 1;
    if (!strstr(f->err.text, pid)) return 2;
    if (!strstr(f->err.text, "since 20")) return 3;
    return db ? 4 : 0;
}

static void a_second_writer_of_another_process_hears_who_and_since_when(void **state)
{
    in_child(open_as_second_writer, *state);
}

/* Everything that the parent opened answers FORKED, and none of it waits for a thread. */
static int use_in_child(struct fixture *f)
{
    struct lynse_names *names;
    struct lynse_hits *hits;
    struct lynse_collection_info info = {0};
    struct lynse_id id = {.number = 1};
    float vector[] = {1, 2, 3};
    struct lynse_rows rows = {.dim = 3, .count = 1, .vectors = vector};
    struct lynse_search_desc query = {.vector = vector, .dim = 3};
    struct lynse_search *search;
    struct lynse_scan *scan;
    struct lynse_collection *c;
    struct lynse_collection_desc desc = {.name = "forked", .dim = 3};
    uint64_t count;
    int there;
    const int codes[] = {
        lynse_close(f->db, NULL),
        lynse_refresh(f->db, NULL),
        lynse_poll(f->db, 0),
        lynse_sync(f->db, NULL),
        lynse_database_create(f->db, "x", NULL),
        lynse_database_drop(f->db, "default", NULL),
        lynse_database_exists(f->db, "x", &there, NULL),
        lynse_database_list(f->db, &names, NULL),
        lynse_collection_create(f->db, &desc, &c, NULL),
        lynse_collection_open(f->db, "docs", &c, NULL),
        lynse_collection_require(f->db, &desc, &c, NULL),
        lynse_collection_drop(f->db, "docs", NULL),
        lynse_collection_exists(f->db, "docs", &there, NULL),
        lynse_collection_list(f->db, "default", &names, NULL),
        lynse_collection_describe(f->docs, "x", NULL),
        lynse_collection_info(f->docs, &info, NULL),
        lynse_collection_description(f->docs, &names, NULL),
        lynse_add(f->docs, &rows, NULL, NULL, NULL),
        lynse_delete(f->docs, &id, 1, NULL, NULL, NULL),
        lynse_build_index(f->docs, "FLAT-IP", NULL),
        lynse_remove_index(f->docs, NULL),
        lynse_set_sync(f->docs, LYNSE_SYNC_OS, 0, NULL),
        lynse_collection_sync(f->docs, NULL, NULL),
        lynse_flush(f->docs, NULL),
        lynse_checkpoint(f->docs, NULL),
        lynse_search(f->docs, &query, &hits),
        lynse_search_begin(f->docs, &query, &search),
        lynse_get(f->docs, &id, 1, 0, &hits, NULL),
        lynse_exists(f->docs, &id, &there, NULL),
        lynse_count(f->docs, &count, NULL),
        lynse_scan_begin(f->docs, 0, &scan, NULL),
        lynse_list_fields(f->docs, &names, NULL),
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i] == LYNSE_FORKED) continue;
        fprintf(stderr, "call %zu answered %d\n", i, codes[i]);
        return 1;
    }
    lynse_collection_close(f->docs);
    return 0;
}

static void a_forked_child_is_told_so_and_harms_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_make_docs(f);
    add_numbers(f, 0, 3);
    in_child(use_in_child, f);
    add_numbers(f, 3, 3);
    assert_int_equal(count_rows(f), 6);
}

static struct lynse_search *forked_search;
static struct lynse_scan *forked_scan;

static int step_in_child(struct fixture *f)
{
    struct lynse_hits *hits;
    if (lynse_scan_next(forked_scan, 10, &hits, &f->err) != LYNSE_FORKED) return 1;
    if (lynse_search_step(forked_search, 0, &hits) != LYNSE_FORKED) return 2;
    return 0;
}

static void a_search_under_way_cannot_be_stepped_in_a_child(void **state)
{
    struct fixture *f = *state;
    float vector[] = {1, 2, 3};
    struct lynse_search_desc query = {.vector = vector, .dim = 3};
    fixture_make_docs(f);
    add_numbers(f, 0, 3);
    assert_done(lynse_search_begin(f->docs, &query, &forked_search), f);
    assert_done(lynse_scan_begin(f->docs, 0, &forked_scan, &f->err), f);
    in_child(step_in_child, f);
    lynse_search_cancel(forked_search);
    lynse_scan_free(forked_scan);
}

static int child_pipe[2];

/* Lives on until the parent closes its end. */
static int outlive_the_lock(struct fixture *f)
{
    char byte;
    (void)f;
    close(child_pipe[1]);
    return read(child_pipe[0], &byte, 1) == 0 ? 0 : 1;
}

static void a_forked_child_does_not_keep_the_lock(void **state)
{
    struct fixture *f = *state;
    int status;
    assert_int_equal(pipe(child_pipe), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(outlive_the_lock(f));
    close(child_pipe[0]);
    fixture_close(f);
    fixture_open(f);
    close(child_pipe[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- beside a writer ---- */

static void open_reader(struct fixture *f, struct fixture *out, uint32_t flags)
{
    *out = *f;
    out->docs = NULL;
    struct lynse_open_desc desc = fixture_desc(f);
    desc.flags = LYNSE_OPEN_READ_ONLY | flags;
    assert_done(lynse_open(&desc, &out->db, &out->err), out);
}

static void a_reader_sees_what_is_durable_and_moves_on_by_refresh(void **state)
{
    struct fixture *f = *state;
    struct fixture reader;
    fixture_make_docs(f);
    assert_done(lynse_set_sync(f->docs, LYNSE_SYNC_OS, 0, &f->err), f);
    add_numbers(f, 0, 5);
    assert_done(lynse_sync(f->db, &f->err), f);
    assert_done(lynse_flush(f->docs, &f->err), f);
    add_numbers(f, 5, 5); /* visible to the writer, durable to nobody */
    open_reader(f, &reader, 0);
    assert_done(lynse_collection_open(reader.db, "docs", &reader.docs, &reader.err), &reader);
    assert_int_equal(count_rows(&reader), 5);
    assert_true(info_of(&reader).is_read_only);
    assert_done(lynse_checkpoint(f->docs, &f->err), f);
    assert_int_equal(count_rows(&reader), 5);
    assert_done(lynse_refresh(reader.db, &reader.err), &reader);
    assert_int_equal(count_rows(&reader), 10);
    assert_int_equal(field_of(&reader, number_id(7)), 7);
    struct lynse_collection_info info = info_of(&reader);
    assert_int_equal(info.durable_lsn, info.applied_lsn);
    fixture_close(&reader);
}

static void a_reader_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct fixture reader;
    struct lynse_id id = {.number = 1};
    struct lynse_collection *c;
    struct lynse_collection_desc desc = {.name = "more", .dim = 3};
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    fixture_close(f);
    size_t before = count_entries(f->path);
    open_reader(f, &reader, 0);
    assert_done(lynse_collection_open(reader.db, "docs", &reader.docs, &reader.err), &reader);
    assert_int_equal(count_rows(&reader), 5);
    struct fixture *r = &reader;
    assert_refused(put_numbers(r, 9, 1, false), r, LYNSE_READ_ONLY, "read-only");
    assert_refused(lynse_delete(r->docs, &id, 1, NULL, NULL, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_restore(r->docs, &id, 1, NULL, NULL, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_flush(r->docs, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_checkpoint(r->docs, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_build_index(r->docs, "FLAT-L2", &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_remove_index(r->docs, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_set_sync(r->docs, LYNSE_SYNC_OS, 0, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_set_sync(r->docs, LYNSE_SYNC_NONE, 0, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_collection_describe(r->docs, "x", &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_collection_create(r->db, &desc, &c, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_collection_require(r->db, &desc, &c, &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_collection_drop(r->db, "docs", &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_database_create(r->db, "more", &r->err), r, LYNSE_READ_ONLY);
    assert_refused(lynse_database_drop(r->db, "default", &r->err), r, LYNSE_READ_ONLY);
    assert_done(lynse_sync(r->db, &r->err), r);
    assert_int_equal(count_rows(r), 5);
    fixture_close(r);
    assert_int_equal(count_entries(f->path), before);
}

static void an_immutable_reader_needs_no_lock(void **state)
{
    struct fixture *f = *state;
    struct fixture reader;
    char lock[2 * TEMP_PATH_BYTES];
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    fixture_close(f);
    snprintf(lock, sizeof lock, "%s/LOCK", f->path);
    assert_int_equal(unlink(lock), 0);
    open_reader(f, &reader, LYNSE_OPEN_IMMUTABLE);
    assert_done(lynse_collection_open(reader.db, "docs", &reader.docs, &reader.err), &reader);
    assert_int_equal(count_rows(&reader), 5);
    assert_done(lynse_refresh(reader.db, &reader.err), &reader);
    fixture_close(&reader);
    assert_int_not_equal(access(lock, F_OK), 0);
}

static void a_reader_is_told_that_its_collection_was_dropped(void **state)
{
    struct fixture *f = *state;
    struct fixture reader;
    uint64_t count;
    struct lynse_collection *again;
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(lynse_flush(f->docs, &f->err), f);
    open_reader(f, &reader, 0);
    assert_done(lynse_collection_open(reader.db, "docs", &reader.docs, &reader.err), &reader);
    assert_done(lynse_collection_drop(f->db, "docs", &f->err), f);
    assert_int_equal(count_rows(&reader), 5); /* pinned */
    assert_done(lynse_refresh(reader.db, &reader.err), &reader);
    assert_refused(lynse_count(reader.docs, &count, &reader.err), &reader, LYNSE_NOT_FOUND, "docs",
                   "dropped");
    assert_refused(lynse_collection_open(reader.db, "docs", &again, &reader.err), &reader,
                   LYNSE_NOT_FOUND, "docs");
    lynse_collection_close(f->docs);
    fixture_make_docs(f); /* another one of the same name */
    assert_done(lynse_refresh(reader.db, &reader.err), &reader);
    assert_done(lynse_collection_open(reader.db, "docs", &again, &reader.err), &reader);
    lynse_collection_close(reader.docs);
    reader.docs = again;
    assert_int_equal(count_rows(&reader), 0);
    fixture_close(&reader);
}

static void the_library_says_what_it_is(void **state)
{
    (void)state;
    assert_string_equal(lynse_version(), "0.1.0");
    assert_true(lynse_abi_version() >= 1);
    assert_string_equal(lynse_error_name(LYNSE_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(lynse_error_name(-5), "unknown");
    assert_string_equal(lynse_error_name(9999), "unknown");
    assert_non_null(strstr("avx512 avx2 serial", lynse_simd_level()));
}

static _Atomic(int) log_lines;
static void count_lines(void *ctx, int level, const char *line)
{
    assert_ptr_equal(ctx, &log_lines);
    assert_in_range(level, LYNSE_LOG_DEBUG, LYNSE_LOG_ERROR);
    assert_true(strlen(line) > 0);
    atomic_fetch_add(&log_lines, 1);
}

static void a_log_sink_can_be_set_and_taken_away(void **state)
{
    struct fixture *f = *state;
    lynse_set_log(count_lines, &log_lines, LYNSE_LOG_DEBUG);
    fixture_make_docs(f);
    add_numbers(f, 0, 5);
    assert_done(lynse_flush(f->docs, &f->err), f);
    lynse_set_log(NULL, NULL, LYNSE_LOG_ERROR);
}

#define EVERYWHERE(_)                                                                              \
    _(a_memory_root_vanishes_with_its_handle)                                                      \
    _(two_memory_roots_are_apart)                                                                  \
    _(close_takes_handles_scans_and_searches_with_it)                                              \
    _(closing_nothing_is_fine)                                                                     \
    _(a_desc_of_another_size_is_taken_when_it_can_be)                                              \
    _(every_desc_doubts_its_size)                                                                  \
    _(a_bad_open_desc_names_its_field)                                                             \
    _(a_forked_child_is_told_so_and_harms_nothing)                                                 \
    _(a_search_under_way_cannot_be_stepped_in_a_child)                                             \
    _(the_library_says_what_it_is)                                                                 \
    _(a_log_sink_can_be_set_and_taken_away)
#define IN_FOLDERS(_)                                                                              \
    _(a_root_keeps_what_was_written_across_reopening)                                              \
    _(a_foreign_folder_is_named_and_left_alone)                                                    \
    _(a_catalog_that_is_not_ours_stays_as_it_is)                                                   \
    _(what_an_interrupted_creation_leaves_does_not_stop_the_next)                                  \
    _(a_path_that_cannot_be_a_root_is_refused)                                                     \
    _(a_folder_without_permission_is_read_only)                                                    \
    _(a_second_writer_of_this_process_is_refused)                                                  \
    _(a_second_writer_of_another_process_hears_who_and_since_when)                                 \
    _(a_forked_child_does_not_keep_the_lock)                                                       \
    _(a_reader_sees_what_is_durable_and_moves_on_by_refresh)                                       \
    _(a_reader_writes_nothing)                                                                     \
    _(an_immutable_reader_needs_no_lock)                                                           \
    _(a_reader_is_told_that_its_collection_was_dropped)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(EVERYWHERE) API_IN_FOLDERS(IN_FOLDERS)};
TEST_MAIN(tests)
