/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks in a manifest: what comes back, what is refused, and who ends what was prepared. */
#include "store/installed_hook.h"

#include "codec/tagged.h"
#include "store/manifest.h"
#include "unit/store/log_fixture.h"

static int set_up(void **state)
{
    struct log_fixture *f = malloc(sizeof *f);
    fixture_init(f);
    *state = f;
    return 0;
}
static int tear_down(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static struct installed_hook_desc desc_of(const char *point, const char *source)
{
    return (struct installed_hook_desc){.point = slice_of_text(point),
                                        .source = slice_of_text(source),
                                        .options = slice_of("\x81\xa1n\x07", source[0] ? 4 : 0),
                                        .on_failure = HOOK_POLICY_SKIP,
                                        .is_trusted = source[0] != '\0'};
}

/* A manifest of one field; its array is static. */
static struct manifest plain(struct alloc *a)
{
    static struct manifest_field field = {
        .kind = 1, .storage = 1, .metric = 3, .index_kind = 1, .dim = 4, .name = "default"};
    return (struct manifest){.alloc = a,
                             .epoch = 2,
                             .number = 9,
                             .sync_level = SYNC_ALWAYS,
                             .sync_interval_ms = 50,
                             .field_count = 1,
                             .fields = &field};
}

static int put(struct manifest *m, const char *point, const char *source, uint64_t version,
               struct error *err)
{
    struct installed_hook *h;
    struct installed_hook_desc desc = desc_of(point, source);

    if (installed_hook_create(m->alloc, &desc, &h, err) != 0) return -1;
    h->version = version;
    if (installed_hooks_put(&m->hooks, h, err) == 0) return 0;
    installed_hook_release(h);
    return -1;
}

static int round_trip(void *ctx, struct error *err)
{
    struct log_fixture *f = ctx;
    struct manifest m = plain(f->alloc), back, copy;
    struct buf body;
    int rc = -1;

    manifest_init(&back, f->alloc);
    manifest_init(&copy, f->alloc);
    buf_init(&body, f->alloc, MEM_GENERAL);
    if (put(&m, "score", "return 1", 3, err) != 0 || put(&m, "rerank", "", 7, err) != 0) goto out;
    if (manifest_encode(&m, &body, err) != 0) goto out;
    if (manifest_decode(&back, buf_slice(&body), err) != 0) goto out;
    if (manifest_copy(&copy, &back, err) != 0) goto out;
    struct installed_hook *h = installed_hooks_find(&copy.hooks, slice_of_text("score"));
    assert_non_null(h);
    assert_true(h->version == 3 && h->is.is_trusted && h->is.on_failure == HOOK_POLICY_SKIP);
    assert_true(slice_equal(h->is.source, slice_of_text("return 1")));
    assert_memory_equal(h->is.options.data, "\x81\xa1n\x07", 4);
    assert_ptr_equal(h, back.hooks.list[0]); /* shared */
    h = installed_hooks_find(&copy.hooks, slice_of_text("rerank"));
    assert_true(h && h->version == 7 && h->is.source.size == 0);
    assert_null(installed_hooks_find(&copy.hooks, slice_of_text("upsert")));
    rc = 0;
out:
    installed_hooks_release(&m.hooks);
    manifest_deinit(&back);
    manifest_deinit(&copy);
    buf_deinit(&body);
    return rc;
}

static void hooks_come_back_and_are_shared(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};

    assert_ok(round_trip(f, &err), &err);
    oom_sweep(f->alloc, round_trip, f);
}

/* Every bit of the body, with no checksum before it: refused, or it keeps the rules. */
static void hostile_bytes_are_refused_or_keep_the_rules(void **state)
{
    struct log_fixture *f = *state;
    struct manifest m = plain(f->alloc);
    struct error err = {0};
    struct buf body, again;

    buf_init(&body, f->alloc, MEM_GENERAL);
    buf_init(&again, f->alloc, MEM_GENERAL);
    assert_ok(put(&m, "score", "return 1", 3, &err), &err);
    assert_ok(put(&m, "rerank", "return 2", 1, &err), &err);
    assert_ok(manifest_encode(&m, &body, &err), &err);
    for (size_t bit = 0; bit < body.size * 8; bit++) {
        struct manifest back;
        body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        manifest_init(&back, f->alloc);
        if (manifest_decode(&back, buf_slice(&body), &err) == 0) {
            buf_reset(&again);
            assert_ok(manifest_encode(&back, &again, &err), &err);
        } else {
            assert_true(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW);
            assert_int_equal(back.hooks.count, 0);
        }
        manifest_deinit(&back);
        body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    installed_hooks_release(&m.hooks);
    buf_deinit(&body);
    buf_deinit(&again);
}

static void what_breaks_a_rule_is_not_written(void **state)
{
    struct log_fixture *f = *state;
    static char long_source[INSTALLED_SOURCE_BYTES_MAX + 2];
    static const char long_point[] = "a-point-whose-name-goes-on-and-on";
    struct error err = {0};

    memset(long_source, ' ', sizeof long_source - 1);
    const struct {
        const char *point, *source;
        uint64_t version;
    } wrong[] = {{"", "x", 1}, {long_point, "x", 1}, {"score", "x", 0}, {"score", long_source, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct manifest m = plain(f->alloc);
        struct buf body;
        buf_init(&body, f->alloc, MEM_GENERAL);
        assert_ok(put(&m, wrong[i].point, wrong[i].source, wrong[i].version, &err), &err);
        assert_fails(manifest_encode(&m, &body, &err), &err, LYNSE_INTERNAL);
        installed_hooks_release(&m.hooks);
        buf_deinit(&body);
    }
    struct manifest m = plain(f->alloc);
    char point[] = "a";
    for (; m.hooks.count < INSTALLED_HOOKS_MAX; point[0]++)
        assert_ok(put(&m, point, "x", 1, &err), &err);
    assert_fails(put(&m, point, "x", 1, &err), &err, LYNSE_LIMIT);
    point[0]--;
    assert_ok(put(&m, point, "y", 2, &err), &err); /* in the place of its own */
    installed_hooks_release(&m.hooks);
}

/* Who does not know hooks may read the collection, and must not write a manifest without them. */
static void the_file_says_that_it_has_hooks(void **state)
{
    struct log_fixture *f = *state;
    struct error err = {0};

    for (int has_hook = 0; has_hook < 2; has_hook++) {
        struct manifest m = plain(f->alloc);
        struct vfs_file *file;
        char name[] = "manifest-2";
        uint8_t header[FORMAT_HEADER_BYTES];
        size_t read = 0;
        bool renamed;
        name[9] = (char)('2' + has_hook);
        m.epoch = (uint64_t)(2 + has_hook);
        if (has_hook) assert_ok(put(&m, "score", "x", 1, &err), &err);
        assert_ok(manifest_publish(&m, f->dir, &f->owner, &f->rng, &renamed, &err), &err);
        installed_hooks_release(&m.hooks);
        assert_ok(vfs_open(f->dir, name, VFS_READ, &file, &err), &err);
        assert_ok(vfs_read(file, 0, header, sizeof header, &read, &err), &err);
        assert_ok(vfs_close(file, &err), &err);
        assert_int_equal(load_u16(header + 10), FORMAT_MINOR);
        assert_int_equal(load_u32(header + 20), has_hook ? FEATURE_HOOKS : 0);
        assert_int_equal(load_u32(header + 24), 0);
    }
}

static int ended;
static void end_prepared(void *prepared)
{
    ended += *(int *)prepared;
}

static void the_first_prepared_one_is_kept_and_ends_with_the_hook(void **state)
{
    struct log_fixture *f = *state;
    struct installed_hook_desc desc = desc_of("score", "x");
    struct installed_hook *h;
    struct error err = {0};
    int first = 1, second = 10;

    assert_ok(installed_hook_create(f->alloc, &desc, &h, &err), &err);
    ended = 0;
    assert_null(installed_hook_prepared(h));
    assert_ptr_equal(installed_hook_keep(h, &first, end_prepared), &first);
    assert_ptr_equal(installed_hook_keep(h, &second, end_prepared), &first);
    assert_int_equal(ended, 10);
    installed_hook_acquire(h);
    installed_hook_release(h);
    assert_int_equal(ended, 10);
    assert_int_equal(installed_hook_count_failure(h), 1);
    assert_int_equal(installed_hook_count_failure(h), 2);
    installed_hook_release(h);
    assert_int_equal(ended, 11);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(hooks_come_back_and_are_shared),
    CASE(hostile_bytes_are_refused_or_keep_the_rules),
    CASE(what_breaks_a_rule_is_not_written),
    CASE(the_file_says_that_it_has_hooks),
    CASE(the_first_prepared_one_is_kept_and_ends_with_the_hook),
};
TEST_MAIN(tests)
