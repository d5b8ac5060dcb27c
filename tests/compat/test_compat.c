/* SPDX-License-Identifier: Apache-2.0 */
/* test_compat.c — what earlier versions wrote is opened, and what later ones write is named.
 * `test_compat FOLDER` with the directories of README.md. */
#include <dirent.h>
#include <sys/stat.h>

#include "api/handles.h"
#include "codec/tagged.h"
#include "compat/contents.h"
#include "store/format.h"
#include "store/twin_file.h"
#include "support/temp_dir.h"
#include "support/test.h"

static const char *compat_folder;

enum { PATH_BYTES = 4096, ENTRY_BYTES = 256 };

struct fixture {
    char folder[TEMP_PATH_BYTES];
    char root[PATH_BYTES];
    struct lynse *db;
    struct lynse_error err;
};

/* ---- a copy to play with ---- */

static void *read_whole(const char *path, size_t *out_size)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s cannot be read", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *out_size = (size_t)ftell(file);
    rewind(file);
    void *data = malloc(*out_size + 1);
    assert_int_equal(fread(data, 1, *out_size, file), *out_size);
    fclose(file);
    return data;
}

static void write_whole(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

typedef void entry_fn(const char *from, const char *to);

/* Each file of the root `from` and of its directories, with its path below `to`. */
static void each_file(const char *from, const char *to, entry_fn *on_file, entry_fn *on_directory)
{
    char folders[16][ENTRY_BYTES];
    size_t folder_count = 1;
    folders[0][0] = 0;
    for (size_t i = 0; i < folder_count; i++) {
        char path[PATH_BYTES + ENTRY_BYTES], below[PATH_BYTES + ENTRY_BYTES];
        snprintf(path, sizeof path, "%s/%s", from, folders[i]);
        DIR *dir = opendir(path);
        assert_non_null(dir);
        for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
            char full[2 * PATH_BYTES], other[2 * PATH_BYTES];
            struct stat status;
            if (e->d_name[0] == '.') continue;
            snprintf(below, sizeof below, "%s/%s", to, folders[i]);
            snprintf(full, sizeof full, "%s/%s", path, e->d_name);
            snprintf(other, sizeof other, "%s/%s", below, e->d_name);
            assert_int_equal(stat(full, &status), 0);
            if (!S_ISDIR(status.st_mode)) {
                on_file(full, other);
                continue;
            }
            assert_true(folder_count < 16);
            snprintf(folders[folder_count++], ENTRY_BYTES, "%s", e->d_name);
            on_directory(full, other);
        }
        closedir(dir);
    }
}

static void copy_file(const char *from, const char *to)
{
    size_t size;
    void *data = read_whole(from, &size);
    write_whole(to, data, size);
    free(data);
}

static void make_directory(const char *from, const char *to)
{
    (void)from;
    assert_int_equal(mkdir(to, 0777), 0);
}

static void compare_file(const char *from, const char *to)
{
    size_t a_size, b_size;
    void *a = read_whole(from, &a_size), *b = read_whole(to, &b_size);
    if (a_size != b_size || memcmp(a, b, a_size) != 0) fail_msg("%s was changed", to);
    free(a);
    free(b);
}

static void pass_directory(const char *from, const char *to)
{
    (void)from, (void)to;
}

static int set_up(void **state)
{
    static struct fixture f;
    char golden[PATH_BYTES];
    memset(&f, 0, sizeof f);
    temp_dir_make(f.folder);
    snprintf(f.root, sizeof f.root, "%s/root", f.folder);
    snprintf(golden, sizeof golden, "%s/v001", compat_folder);
    assert_int_equal(mkdir(f.root, 0777), 0);
    each_file(golden, f.root, copy_file, make_directory);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->db) lynse_close(f->db, NULL);
    temp_dir_remove(f->folder);
    return 0;
}

static void open_root(struct fixture *f, uint32_t mode, uint32_t flags)
{
    struct lynse_open_desc desc = {.path = f->root, .mode = mode, .flags = flags};
    if (lynse_open(&desc, &f->db, &f->err) != LYNSE_OK) fail_msg("%s", f->err.text);
}

static void close_root(struct fixture *f)
{
    struct lynse *db = f->db;
    f->db = NULL;
    if (lynse_close(db, &f->err) != LYNSE_OK) fail_msg("%s", f->err.text);
}

static struct lynse_collection *open_one(struct fixture *f, const char *name)
{
    struct lynse_collection *c;
    if (lynse_collection_open(f->db, name, &c, &f->err) != LYNSE_OK) fail_msg("%s", f->err.text);
    return c;
}

/* ---- what earlier versions wrote ---- */

static const char *const names[] = {"plain", "notes/log", "notes/spare", "notes/bulk",
                                    "notes/empty"};
enum { NAME_COUNT = sizeof names / sizeof *names };

/* Every invariant of every collection. */
static void check_everything(struct fixture *f)
{
    golden_check_v001(f->db);
    for (size_t i = 0; i < NAME_COUNT; i++) {
        struct error err = {0};
        struct lynse_collection *c = open_one(f, names[i]);
        struct order_message *m = engine_order(f->db->engine, KIND_CHECK, &err);
        assert_non_null(m);
        assert_ok(engine_order_host(c->host, m, &err), &err);
    }
}

static void version_1_is_opened_by_writers_and_readers(void **state)
{
    struct fixture *f = *state;
    open_root(f, LYNSE_THREADS, LYNSE_OPEN_READ_ONLY);
    check_everything(f);
    close_root(f);
    open_root(f, LYNSE_INLINE, LYNSE_OPEN_READ_ONLY | LYNSE_OPEN_IMMUTABLE);
    check_everything(f);
    close_root(f);
    for (uint32_t mode = LYNSE_THREADS; mode <= LYNSE_INLINE; mode++) {
        open_root(f, mode, 0);
        check_everything(f);
        close_root(f);
    }
}

static void version_1_goes_on(void **state)
{
    struct fixture *f = *state;
    float vector[GOLDEN_DIM] = {1, 2, 3, 4};
    struct lynse_rows rows = {.dim = GOLDEN_DIM, .count = 1, .vectors = vector};
    open_root(f, LYNSE_THREADS, 0);
    for (size_t i = 0; i < NAME_COUNT; i++) {
        struct lynse_collection *c = open_one(f, names[i]);
        struct lynse_collection_info before = {0}, after = {0};
        struct lynse_write_result result;
        assert_int_equal(lynse_collection_info(c, &before, NULL), LYNSE_OK);
        if (lynse_add(c, &rows, NULL, &result, &f->err) != LYNSE_OK) fail_msg("%s", f->err.text);
        assert_int_equal(result.first_number, before.has_int_id ? before.max_int_id + 1 : 0);
        if (lynse_checkpoint(c, &f->err) != LYNSE_OK) fail_msg("%s", f->err.text);
        assert_int_equal(lynse_collection_info(c, &after, NULL), LYNSE_OK);
        assert_int_equal(after.live_count, before.live_count + 1);
        struct lynse_id id = {.number = result.first_number};
        assert_int_equal(lynse_delete(c, &id, 1, NULL, NULL, NULL), LYNSE_OK);
    }
    close_root(f);
    open_root(f, LYNSE_THREADS, 0);
    for (size_t i = 0; i < NAME_COUNT; i++) {
        struct error err = {0};
        struct order_message *m = engine_order(f->db->engine, KIND_CHECK, &err);
        assert_ok(engine_order_host(open_one(f, names[i])->host, m, &err), &err);
    }
}

static void the_number_of_a_dropped_collection_is_not_used_again(void **state)
{
    struct fixture *f = *state;
    open_root(f, LYNSE_INLINE, 0);
    assert_int_equal(f->db->engine->catalog.next_number, GOLDEN_NEXT_NUMBER);
}

/* ---- what later versions write ---- */

/* The file of the highest number in a directory of the root ("" for the root itself). */
static void newest_file(struct fixture *f, const char *folder, const char *prefix,
                        char out[2 * PATH_BYTES], uint64_t *out_number)
{
    char path[PATH_BYTES + ENTRY_BYTES];
    uint64_t number;
    snprintf(path, sizeof path, "%s/%s", f->root, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    *out_number = 0;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (!numbered_name_parse(e->d_name, prefix, &number) || number < *out_number) continue;
        *out_number = number;
        snprintf(out, 2 * PATH_BYTES, "%s/%s", path, e->d_name);
    }
    closedir(dir);
    assert_true(*out_number > 0);
}

enum { AT_MAJOR = 8, AT_INCOMPATIBLE = 24, AT_EPOCH = 80, AT_BODY_BYTES = 96, AT_BODY = 112 };

static void right_sums(uint8_t *copy)
{
    size_t end = AT_BODY + (size_t)load_u64(copy + AT_BODY_BYTES);
    store_u32(copy + AT_BODY - 4, crc32c(0, copy, AT_BODY - 4));
    store_u32(copy + end, crc32c(0, copy, end));
}

enum change { CHANGE_MAJOR, CHANGE_FEATURE, CHANGE_FIELD };

/* Change both copies of a twin file as a later version would have written it. */
static void change_twin(const char *path, enum change change)
{
    size_t size;
    uint8_t *data = read_whole(path, &size);
    for (size_t i = 0; i < 2; i++) {
        uint8_t *copy = data + i * size / 2;
        if (change == CHANGE_MAJOR) store_u16(copy + AT_MAJOR, FORMAT_MAJOR + 1);
        if (change == CHANGE_FEATURE) store_u32(copy + AT_INCOMPATIBLE, 1u << 30);
        if (change == CHANGE_FIELD) { /* an empty required one of tag 999 */
            uint64_t body = load_u64(copy + AT_BODY_BYTES);
            assert_true(AT_BODY + body + TAGGED_HEADER_BYTES + 4 <= size / 2);
            memset(copy + AT_BODY + body, 0, TAGGED_HEADER_BYTES);
            store_u16(copy + AT_BODY + body, 999);
            store_u16(copy + AT_BODY + body + 2, TAGGED_REQUIRED);
            store_u64(copy + AT_BODY_BYTES, body + TAGGED_HEADER_BYTES);
        }
        right_sums(copy);
    }
    write_whole(path, data, size);
    free(data);
}

/* The text names what the file has and what this version knows. */
static void assert_says(const struct fixture *f, enum change change)
{
    assert_string_equal(lynse_error_name(f->err.code), "FORMAT_TOO_NEW");
    const char *words[] = {change == CHANGE_FIELD     ? "999"
                           : change == CHANGE_FEATURE ? "0x40000000"
                                                      : "2",
                           change == CHANGE_FIELD ? "field" : "1"};
    for (size_t i = 0; i < 2; i++)
        if (!strstr(f->err.text, words[i])) fail_msg("'%s' lacks '%s'", f->err.text, words[i]);
}

static void a_newer_catalog_is_named_and_left_alone(void **state)
{
    struct fixture *f = *state;
    for (enum change change = CHANGE_MAJOR; change <= CHANGE_FIELD; change++) {
        char path[2 * PATH_BYTES], copy[PATH_BYTES];
        uint64_t number;
        newest_file(f, "", "catalog-", path, &number);
        size_t size;
        void *before = read_whole(path, &size);
        change_twin(path, change);
        snprintf(copy, sizeof copy, "%s/copy%d", f->folder, (int)change);
        assert_int_equal(mkdir(copy, 0777), 0);
        each_file(f->root, copy, copy_file, make_directory);
        for (uint32_t flags = 0; flags <= LYNSE_OPEN_READ_ONLY; flags++) {
            struct lynse_open_desc desc = {.path = f->root, .flags = flags};
            assert_int_not_equal(lynse_open(&desc, &f->db, &f->err), LYNSE_OK);
            assert_says(f, change);
            assert_null(f->db);
        }
        each_file(copy, f->root, compare_file, pass_directory);
        each_file(f->root, copy, compare_file, pass_directory);
        write_whole(path, before, size);
        free(before);
    }
    open_root(f, LYNSE_THREADS, 0);
    check_everything(f);
}

static void a_newer_collection_is_named_and_the_others_are_opened(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_info info = {0};
    struct lynse_collection *c;
    open_root(f, LYNSE_INLINE, 0);
    assert_int_equal(lynse_collection_info(open_one(f, "plain"), &info, NULL), LYNSE_OK);
    close_root(f);
    for (enum change change = CHANGE_MAJOR; change <= CHANGE_FIELD; change++) {
        char path[2 * PATH_BYTES];
        uint64_t number;
        size_t size;
        newest_file(f, info.directory, "manifest-", path, &number);
        void *before = read_whole(path, &size);
        change_twin(path, change);
        open_root(f, LYNSE_THREADS, 0);
        assert_int_not_equal(lynse_collection_open(f->db, "plain", &c, &f->err), LYNSE_OK);
        assert_says(f, change);
        assert_non_null(strstr(f->err.text, "default/plain"));
        open_one(f, "notes/log");
        close_root(f);
        write_whole(path, before, size);
        free(before);
    }
    open_root(f, LYNSE_THREADS, 0);
    check_everything(f);
}

static void a_newer_log_is_named(void **state)
{
    struct fixture *f = *state;
    struct lynse_collection_info info = {0};
    struct lynse_collection *c;
    char path[2 * PATH_BYTES];
    uint64_t number;
    size_t size;
    open_root(f, LYNSE_INLINE, LYNSE_OPEN_READ_ONLY);
    assert_int_equal(lynse_collection_info(open_one(f, "notes/log"), &info, NULL), LYNSE_OK);
    close_root(f);
    newest_file(f, info.directory, "wal-", path, &number);
    uint8_t *data = read_whole(path, &size);
    for (size_t i = 0; i < 2; i++) {
        uint8_t *header = data + i * 4096;
        store_u16(header + AT_MAJOR, FORMAT_MAJOR + 1);
        store_u32(header + 252, crc32c(0, header, 252));
    }
    write_whole(path, data, size);
    free(data);
    open_root(f, LYNSE_THREADS, 0);
    assert_int_not_equal(lynse_collection_open(f->db, "notes/log", &c, &f->err), LYNSE_OK);
    assert_says(f, CHANGE_MAJOR);
    open_one(f, "plain");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        CASE(version_1_is_opened_by_writers_and_readers),
        CASE(version_1_goes_on),
        CASE(the_number_of_a_dropped_collection_is_not_used_again),
        CASE(a_newer_catalog_is_named_and_left_alone),
        CASE(a_newer_collection_is_named_and_the_others_are_opened),
        CASE(a_newer_log_is_named),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    compat_folder = argv[1];
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
