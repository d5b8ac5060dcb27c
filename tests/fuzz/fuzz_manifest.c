/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_manifest.c — manifest bodies and the twin files around them.
 *
 * The first byte chooses: a body as it is; a twin file as it is; a body inside a sound twin file in
 * which the last bytes then flip bits.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "store/manifest.h"

enum mode { MODE_BODY, MODE_TWIN, MODE_WRAPPED, MODE_COUNT };

static const struct file_owner OWNER = {{{1}}, {{2}}};

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
        CHECK(!m.fields && !m.segments && !m.description);
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
    CHECK(twin_file_encode(MAGIC_MANIFEST, 3, &OWNER, &uuid, body, &file, &err) == 0);
    for (size_t i = 0; i < flips; i++) {
        uint16_t at = load_u16(body.data + body.size - 3 - 2 * i);
        file.data[at % file.size] ^= (uint8_t)(1u << at % 7);
    }
    check_twin(buf_slice(&file), &body);
    buf_deinit(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned mode = size > 0 ? data[0] % MODE_COUNT : MODE_BODY;
    struct slice rest = slice_of(data + (size > 0), size - (size > 0));

    if (mode == MODE_BODY) check_body(rest);
    if (mode == MODE_TWIN) check_twin(rest, NULL);
    if (mode == MODE_WRAPPED) check_wrapped(rest);
    return 0;
}
