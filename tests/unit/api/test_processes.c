/* SPDX-License-Identifier: Apache-2.0 */
/* test_processes.c — a root and other processes: second writers, forked children, readers. */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

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
    assert_refused(lynse_open(&desc, &db, &f->err), f, LYNSE_LOCKED, "this process", f->path);
    snprintf(path, sizeof path, "%s/.", f->path);
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
    struct lynse_hooks *hooks;
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
        lynse_hook_drop(f->docs, "score", NULL),
        lynse_hook_list(f->docs, &hooks, NULL),
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
    int64_t blocks = hook_blocks;
    if (lynse_scan_next(forked_scan, 10, &hits, &f->err) != LYNSE_FORKED) return 1;
    for (int i = 0; i < 2; i++)
        if (lynse_search_step(forked_search, 0, &hits) != LYNSE_FORKED) return 2;
    lynse_search_cancel(forked_search);
    return hook_blocks == blocks ? 0 : 3; /* what is the parent's was not touched */
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

/* Says that it is there, then lives on until the parent closes its end. */
static int outlive_the_lock(int from_parent, int to_parent)
{
    char byte = 'x';
    if (write(to_parent, &byte, 1) != 1) return 1;
    return read(from_parent, &byte, 1) == 0 ? 0 : 2;
}

static void a_forked_child_does_not_keep_the_lock(void **state)
{
    struct fixture *f = *state;
    int status, to_child[2], to_parent[2];
    char byte;
    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(to_parent), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(to_child[1]);
        _exit(outlive_the_lock(to_child[0], to_parent[1]));
    }
    assert_int_equal(read(to_parent[0], &byte, 1), 1);
    fixture_close(f);
    fixture_open(f);
    close(to_child[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(to_child[0]);
    close(to_parent[0]);
    close(to_parent[1]);
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

#define EVERYWHERE(_)                                                                              \
    _(a_forked_child_is_told_so_and_harms_nothing)                                                 \
    _(a_search_under_way_cannot_be_stepped_in_a_child)
#define IN_FOLDERS(_)                                                                              \
    _(a_folder_without_permission_is_read_only)                                                    \
    _(a_second_writer_of_this_process_is_refused)                                                  \
    _(a_second_writer_of_another_process_hears_who_and_since_when)                                 \
    _(a_forked_child_does_not_keep_the_lock)                                                       \
    _(a_reader_sees_what_is_durable_and_moves_on_by_refresh)                                       \
    _(a_reader_writes_nothing)                                                                     \
    _(an_immutable_reader_needs_no_lock) _(a_reader_is_told_that_its_collection_was_dropped)

static const struct CMUnitTest tests[] = {API_EVERYWHERE(EVERYWHERE) API_IN_FOLDERS(IN_FOLDERS)};
TEST_MAIN(tests)
