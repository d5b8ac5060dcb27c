/* SPDX-License-Identifier: Apache-2.0 */
/* body_decode.c — the body of a request, JSON, as msgpack.
 *
 * WHAT        A small body at once.  A large one on a thread of the pool, while all other
 *             connections of the loop go on; then the method begins.
 * INVARIANTS  (1) A job touches the body of its request and itself: until it ends nobody else
 *                 touches that body.
 *             (2) A request whose connection has gone meanwhile is there until its job has ended:
 *                 the loop waits for requests.
 * THREADS     The loop's, but for run_decode.
 * FAILURE     The request is refused.
 */
#include "server/body_decode.h"

#include <uv.h>

#include "base/limits.h"
#include "codec/json.h"
#include "server/dispatch.h"
#include "server/loop.h"
#include "server/methods.h"
#include "server/request.h"
#include "server/server.h"

const struct msgpack_limits body_params_limits = {
    .what = "params",
    .bytes_max = UINT32_MAX - 1,
    .node_count_max = 64u << 20,
    .depth_max = LIMIT_DOC_DEPTH + 8, /* a record's fields, within a list, within the params */
    .key_count_max = 1u << 20,
    .has_text_keys = true,
};

static int decode_json(struct slice json, struct buf *packed, struct error *err)
{
    if (json_to_msgpack(json, &body_params_limits, packed, err) != 0) return -1;
    uint8_t first = packed->data[0];
    if ((first & 0xf0) == 0x80 || first == 0xde || first == 0xdf) return 0;
    return error_set(err, LYNSE_INVALID, "the body must be a JSON object");
}

/* The body becomes msgpack, in its place. */
static void take_decoded(struct request *r, struct buf *packed)
{
    buf_deinit(&r->body);
    r->body = *packed;
    r->params = buf_slice(&r->body);
}

int body_decode(struct request *r, struct error *err)
{
    struct buf packed;

    buf_init(&packed, r->loop->alloc, MEM_MESSAGE);
    if (decode_json(buf_slice(&r->body), &packed, err) != 0) {
        buf_deinit(&packed);
        return -1;
    }
    take_decoded(r, &packed);
    return 0;
}

/* ---- Elsewhere ---- */

struct decode_job {
    uv_work_t work;
    struct request *request;
    struct buf packed;
    struct error err;
    int rc;
};

static void run_decode(uv_work_t *work)
{
    struct decode_job *job = work->data;
    job->rc = decode_json(buf_slice(&job->request->body), &job->packed, &job->err);
}

static void finish_decode(uv_work_t *work, int status)
{
    struct decode_job *job = work->data;
    struct request *r = job->request;

    (void)status; /* jobs are not cancelled */
    loop_stir(r->loop);
    r->loop->call_count--;
    if (job->rc == 0) {
        take_decoded(r, &job->packed);
        server_begin_method(r, r->route->method);
    } else {
        struct error err = job->err; /* the job ends with its request */
        buf_deinit(&job->packed);
        dispatch_refuse(r, &err); /* its connection may be gone */
    }
}

int body_decode_elsewhere(struct request *r, struct error *err)
{
    struct loop *l = r->loop;
    struct decode_job *job = arena_zalloc(&r->arena, sizeof *job);

    if (!job) return error_no_memory(err, sizeof *job);
    job->work.data = job;
    job->request = r;
    buf_init(&job->packed, l->alloc, MEM_MESSAGE);
    if (l->call_count >= l->server->options.calls_max ||
        uv_queue_work(&l->uv, &job->work, run_decode, finish_decode) != 0) {
        loop_refuse_call(l, err);
        return -1;
    }
    l->call_count++;
    return 0;
}
