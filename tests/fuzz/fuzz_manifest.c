/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_manifest.c — manifest bodies and the twin files around them.
 *
 * The first byte chooses: a body as it is; a twin file as it is; a body inside a sound twin file in
 * which the last bytes then flip bits.  With bit 7 the body is written by a script whose bytes are
 * counts, lengths and kinds.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "codec/tagged.h"
#include "fuzz/fuzz.h"
#include "store/manifest.h"

enum mode { MODE_BODY, MODE_TWIN, MODE_WRAPPED, MODE_COUNT };
enum { BIT_SCRIPT = 0x80, FLUSHED_LSN = 1000 };

static const struct file_owner OWNER = {{{1}}, {{2}}};

/* ---- a body from a script ---- */

static uint8_t next_byte(struct slice *script)
{
    if (script->size == 0) return 0;
    script->size--;
    return *script->data++;
}

static void add_text(struct slice *script, size_t length_bytes, struct buf *out)
{
    uint8_t size = next_byte(script), letter = next_byte(script), text[UINT8_MAX];
    memset(text, letter, sizeof text);
    buf_append_u8(out, size);
    buf_append_zeros(out, length_bytes - 1);
    buf_append(out, text, size);
}

static void add_state(struct slice *script, struct buf *out)
{
    size_t begin = tagged_begin(out, 1, TAGGED_REQUIRED, 0);
    buf_append_u64(out, next_byte(script)); /* number */
    buf_append_u64(out, FLUSHED_LSN);
    buf_append_u64(out, FLUSHED_LSN + next_byte(script));
    buf_append_u64(out, next_byte(script)); /* wal_first */
    uint8_t max_int_id = next_byte(script);
    buf_append_u64(out, max_int_id);
    buf_append_u64(out, max_int_id != 0);
    buf_append_u64(out, next_byte(script)); /* created_us */
    tagged_end(out, begin);
}

static void add_field(struct slice *script, uint32_t number, struct buf *out)
{
    size_t begin = tagged_begin(out, 2, TAGGED_REQUIRED, number);
    for (int i = 0; i < 4; i++) buf_append_u8(out, next_byte(script) % 5); /* kinds */
    buf_append_u32(out, next_byte(script));                                /* dim */
    add_text(script, 1, out);
    tagged_end(out, begin);
}

static void add_segment(struct slice *script, uint8_t index, struct buf *out)
{
    struct uuid uuid = {{index, next_byte(script)}};
    size_t begin = tagged_begin(out, 4, TAGGED_REQUIRED, 0);
    uint64_t lsn = 16u * index + 1, map_lsn = lsn + next_byte(script), dead = next_byte(script);
    uint8_t parts = next_byte(script) % 12;

    buf_append(out, uuid.bytes, sizeof uuid.bytes);
    buf_append_u64(out, lsn);
    buf_append_u64(out, lsn + next_byte(script) % 17);
    buf_append_u64(out, next_byte(script)); /* rows */
    buf_append_u64(out, map_lsn);
    buf_append_u64(out, dead);
    buf_append_u32(out, parts);
    buf_append_u32(out, 0);
    for (uint8_t i = 0; i < parts; i++) {
        uint8_t b = next_byte(script);
        buf_append_u16(out, b % 8);
        buf_append_u16(out, b / 8);
        buf_append_zeros(out, 28);
    }
    tagged_end(out, begin);
}

static void add_hook(struct slice *script, struct buf *out)
{
    uint8_t version = next_byte(script), kind = next_byte(script), bytes = next_byte(script);
    size_t begin = tagged_begin(out, 5, 0, 0);
    buf_append_u64(out, version);
    buf_append_u8(out, kind & 3);
    buf_append_u8(out, kind >> 2 & 3);
    buf_append_u8(out, 2);
    buf_append_u8(out, kind >> 7);
    buf_append_u32(out, bytes & 15);
    buf_append_u32(out, bytes >> 4);
    for (size_t i = 0; i < 2u + (bytes & 15u) + (bytes >> 4); i++)
        buf_append_u8(out, next_byte(script));
    tagged_end(out, begin);
}

static void build_body(struct slice script, struct buf *out)
{
    add_state(&script, out);
    for (uint8_t n = next_byte(&script) % 8, i = 0; i < n; i++) add_field(&script, i, out);
    size_t begin = tagged_begin(out, 3, TAGGED_REQUIRED, 0);
    buf_append_u32(out, next_byte(&script) % 8); /* sync level, three zeros */
    buf_append_u32(out, next_byte(&script));
    add_text(&script, 4, out);
    tagged_end(out, begin);
    for (uint8_t n = next_byte(&script) % 8, i = 0; i < n; i++) add_segment(&script, i, out);
    for (uint8_t n = next_byte(&script) % 4, i = 0; i < n; i++) add_hook(&script, out);
}

/* ---- what must hold of any body ---- */

/* What is decoded can be encoded, and is the same when it is decoded again. */
static void check_body(struct slice body)
{
    struct error err = {0};
    struct manifest m, again;
    struct buf first, second;

    manifest_init(&m, alloc_libc());
    manifest_init(&again, alloc_libc());
    buf_init(&first, alloc_libc(), MEM_GENERAL);
    buf_init(&second, alloc_libc(), MEM_GENERAL);
    if (manifest_decode(&m, body, &err) == 0) {
        CHECK(manifest_replay_from(&m) <= m.flushed_lsn);
        CHECK(manifest_encode(&m, &first, &err) == 0);
        CHECK(manifest_decode(&again, buf_slice(&first), &err) == 0);
        CHECK(manifest_encode(&again, &second, &err) == 0);
        CHECK(slice_equal(buf_slice(&first), buf_slice(&second)));
    } else {
        CHECK(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW);
        CHECK(!m.fields && !m.segments && !m.description && m.hooks.count == 0);
    }
    manifest_deinit(&m);
    manifest_deinit(&again);
    buf_deinit(&first);
    buf_deinit(&second);
}

static void check_twin(struct slice file, const struct slice *want)
{
    struct error err = {0};
    struct slice body = {NULL, 0};
    struct twin_info info;

    if (twin_file_verify(file, "manifest-3", 3, MAGIC_MANIFEST, &OWNER, &body, &info, &err) != 0) {
        CHECK(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW ||
              err.code == LYNSE_UNSUPPORTED);
        return;
    }
    CHECK(body.size <= file.size / 2 + 1 || info.damaged_copies == 1);
    if (want) CHECK(slice_equal(body, *want)); /* no flip of a bit changes what is read */
    check_body(body);
}

static void check_wrapped(struct slice body)
{
    struct error err = {0};
    struct buf file;
    struct uuid uuid = {{9}};
    size_t flips = body.size < 8 ? 0 : (size_t)(body.data[body.size - 1] % 4);

    buf_init(&file, alloc_libc(), MEM_GENERAL);
    CHECK(twin_file_encode(MAGIC_MANIFEST, 3, 0, &OWNER, &uuid, body, &file, &err) == 0);
    for (size_t i = 0; i < flips; i++) {
        uint16_t at = load_u16(body.data + body.size - 3 - 2 * i);
        file.data[at % file.size] ^= (uint8_t)(1u << at % 7);
    }
    check_twin(buf_slice(&file), &body);
    buf_deinit(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned mode = size > 0 ? (data[0] & 0x7fu) % MODE_COUNT : MODE_BODY;
    struct slice rest = slice_of(data + (size > 0), size - (size > 0));
    struct buf built;

    buf_init(&built, alloc_libc(), MEM_GENERAL);
    if (size > 0 && (data[0] & BIT_SCRIPT) != 0) {
        build_body(rest, &built);
        CHECK(buf_ok(&built));
        rest = buf_slice(&built);
    }
    if (mode == MODE_BODY) check_body(rest);
    if (mode == MODE_TWIN) check_twin(rest, NULL);
    if (mode == MODE_WRAPPED) check_wrapped(rest);
    buf_deinit(&built);
    return 0;
}
