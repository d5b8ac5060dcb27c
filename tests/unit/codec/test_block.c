/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/rng.h"
#include "codec/block.h"
#include "support/oom_sweep.h"

/* 64 times 'a', compressed by zstd 1.5.4 at level 1. */
static const uint8_t golden[] = {
    0x4c, 0x42, 0x6b, 0x31, 0x40, 0x00, 0x00, 0x00, 0x11, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x9c, 0x0c, 0xf7, 0x4e, 0xe4, 0x41, 0x99, 0x5c, 0x28, 0xb5, 0x2f, 0xfd,
    0x20, 0x40, 0x45, 0x00, 0x00, 0x10, 0x61, 0x61, 0x01, 0x00, 0x93, 0x00, 0x16,
};

static struct block_codec *codec;
static struct buf framed, raw_out;

static int make(void **state)
{
    (void)state;
    struct error err;
    buf_init(&framed, alloc_libc(), MEM_GENERAL);
    buf_init(&raw_out, alloc_libc(), MEM_GENERAL);
    return block_codec_create(alloc_libc(), &codec, &err);
}

static int unmake(void **state)
{
    (void)state;
    buf_deinit(&framed);
    buf_deinit(&raw_out);
    block_codec_destroy(codec);
    return 0;
}

/* From a heap copy of exactly this size, so that ASan sees a read past it. */
static int decode(struct slice s, size_t raw_max, struct error *err)
{
    uint8_t *copy = test_malloc(s.size ? s.size : 1);
    memcpy(copy, s.data, s.size);
    buf_reset(&raw_out);
    int rc = block_decode(codec, slice_of(copy, s.size), raw_max, &raw_out, err);
    if (rc != 0) assert_int_equal(raw_out.size, 0);
    test_free(copy);
    return rc;
}

static void fill_documents(struct rng *r, uint8_t *to, size_t size)
{
    static const char *const words[] = {"{\"title\":\"", "lock", "-free ",
                                        "\",\"stars\":", "}",    "42"};
    for (size_t i = 0; i < size; i++) {
        const char *w = words[rng_below(r, 6)];
        for (; *w && i < size; w++) to[i++] = (uint8_t)*w;
        if (i < size) to[i] = (uint8_t)rng_below(r, 256);
    }
}

static void bytes_of_every_size_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 23, 100, 4096, 16384, 70000};
    struct error err;
    struct rng r;
    uint8_t *raw = test_malloc(70000);
    rng_init(&r, test_seed(1));
    for (size_t i = 0; i < 3 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i / 3], frame_bytes;
        memset(raw, 'x', size);
        if (i % 3 == 1) rng_bytes(&r, raw, size);
        if (i % 3 == 2) fill_documents(&r, raw, size);
        buf_reset(&framed);
        buf_append(&framed, "before", 6);
        assert_ok(block_encode(codec, slice_of(raw, size), &framed, &err), &err);
        assert_true(framed.size <= 6 + BLOCK_HEADER_BYTES + size);
        if (i % 3 != 1 && size >= 4096 && block_has_zstd()) assert_true(framed.size < size);
        struct slice frame = slice_of(framed.data + 6, framed.size - 6);
        assert_ok(block_frame_bytes(frame, &frame_bytes, &err), &err);
        assert_int_equal(frame_bytes, frame.size);
        assert_ok(decode(frame, size, &err), &err);
        assert_true(slice_equal(buf_slice(&raw_out), slice_of(raw, size)));
        if (size > 0) assert_fails(decode(frame, size - 1, &err), &err, LYNSE_CORRUPT);
    }
    test_free(raw);
}

static void stored_frames_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    struct error err;
    buf_reset(&framed);
    assert_ok(block_encode(codec, slice_of_text("x"), &framed, &err), &err);
    uint8_t expected[25] = {'L', 'B', 'k', '1', 1, 0, 0, 0, 1, 0, 0, 0, 0};
    store_u64(expected + 16, hash_xxh3_64("x", 1));
    expected[24] = 'x';
    assert_int_equal(framed.size, sizeof expected);
    assert_memory_equal(framed.data, expected, sizeof expected);
}

static void compressed_frames_of_older_builds_are_read_or_named(void **state)
{
    (void)state;
    struct error err;
    int rc = decode(slice_of(golden, sizeof golden), 64, &err);
    if (!block_has_zstd()) {
        assert_fails(rc, &err, LYNSE_UNSUPPORTED);
        assert_non_null(strstr(err.text, "this build has no zstd"));
        return;
    }
    assert_ok(rc, &err);
    assert_int_equal(raw_out.size, 64);
    for (size_t i = 0; i < 64; i++) assert_int_equal(raw_out.data[i], 'a');
}

static void every_cut_and_every_flipped_bit_is_corrupt(void **state)
{
    (void)state;
    struct error err;
    uint8_t raw[300];
    for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
        struct rng r;
        rng_init(&r, 2);
        if (is_compressed) memset(raw, 'y', sizeof raw);
        else rng_bytes(&r, raw, sizeof raw);
        buf_reset(&framed);
        assert_ok(block_encode(codec, slice_of(raw, sizeof raw), &framed, &err), &err);
        for (size_t size = 0; size < framed.size; size++)
            assert_fails(decode(slice_of(framed.data, size), 1 << 20, &err), &err, LYNSE_CORRUPT);
        for (size_t bit = 0; bit < framed.size * 8; bit++) {
            framed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int rc = decode(buf_slice(&framed), 1 << 20, &err);
            assert_fails(rc, &err, LYNSE_CORRUPT);
            assert_non_null(strstr(err.text, "block: "));
            framed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        buf_append_u8(&framed, 0);
        assert_fails(decode(buf_slice(&framed), 1 << 20, &err), &err, LYNSE_CORRUPT);
    }
}

/* An attacker can make the checksum right; sizes must still agree, and none is trusted first. */
static void sizes_that_lie_are_corrupt_and_cost_no_memory(void **state)
{
    (void)state;
    struct error err;
    struct alloc *a = alloc_create(&(struct alloc_hooks){0}, 1 << 20);
    struct block_codec *small;
    struct buf out;
    uint8_t bomb[sizeof golden];
    buf_init(&out, a, MEM_GENERAL);
    assert_ok(block_codec_create(a, &small, &err), &err);
    memcpy(bomb, golden, sizeof golden);
    static const uint32_t claims[] = {63, 65, 1 << 20, 1u << 30, UINT32_MAX};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        store_u32(bomb + 4, claims[i]);
        size_t raw_max = claims[i] < 1000 ? 1000 : 16384;
        assert_int_equal(block_decode(small, slice_of(bomb, sizeof bomb), raw_max, &out, &err), -1);
        if (claims[i] > 1000 || block_has_zstd()) assert_int_equal(err.code, LYNSE_CORRUPT);
        assert_true(out.capacity <= 2048);
    }
    buf_deinit(&out);
    block_codec_destroy(small);
    alloc_destroy(a);
}

static void a_codec_is_usable_after_damage(void **state)
{
    (void)state;
    struct error err;
    uint8_t bad[sizeof golden];
    memcpy(bad, golden, sizeof golden);
    bad[BLOCK_HEADER_BYTES + 6] ^= 1;
    store_u64(bad + 16, hash_xxh3_64(bad + BLOCK_HEADER_BYTES, sizeof bad - BLOCK_HEADER_BYTES));
    assert_int_equal(decode(slice_of(bad, sizeof bad), 64, &err), -1);
    buf_reset(&framed);
    assert_ok(
        block_encode(codec, slice_of_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &framed, &err),
        &err);
    assert_ok(decode(buf_slice(&framed), 64, &err), &err);
}

static int round_trip(void *ctx, struct error *err)
{
    struct alloc *a = ctx;
    struct block_codec *c = NULL;
    struct buf frame, out;
    int rc = -1;
    uint8_t raw[2000];
    memset(raw, 'z', sizeof raw);
    buf_init(&frame, a, MEM_GENERAL);
    buf_init(&out, a, MEM_GENERAL);
    if (block_codec_create(a, &c, err) != 0) goto out;
    if (block_encode(c, slice_of(raw, sizeof raw), &frame, err) != 0) goto out;
    if (block_decode(c, buf_slice(&frame), sizeof raw, &out, err) != 0) goto out;
    rc = 0;
out:
    buf_deinit(&frame);
    buf_deinit(&out);
    block_codec_destroy(c);
    return rc;
}

static void out_of_memory_is_an_ordinary_error(void **state)
{
    (void)state;
    struct alloc *a = alloc_create(&(struct alloc_hooks){0}, 0);
    oom_sweep(a, round_trip, a);
    alloc_destroy(a);
}

#define WITH_CODEC(test) cmocka_unit_test_setup_teardown(test, make, unmake)
static const struct CMUnitTest tests[] = {
    WITH_CODEC(bytes_of_every_size_come_back),
    WITH_CODEC(stored_frames_have_the_bytes_of_the_format),
    WITH_CODEC(compressed_frames_of_older_builds_are_read_or_named),
    WITH_CODEC(every_cut_and_every_flipped_bit_is_corrupt),
    WITH_CODEC(sizes_that_lie_are_corrupt_and_cost_no_memory),
    WITH_CODEC(a_codec_is_usable_after_damage),
    WITH_CODEC(out_of_memory_is_an_ordinary_error),
};

TEST_MAIN(tests)
