/* SPDX-License-Identifier: Apache-2.0 */
/* body_decode.h — the body of a request, JSON, as msgpack.  Thread: the loop's. */
#ifndef SERVER_BODY_DECODE_H
#define SERVER_BODY_DECODE_H

#include "base/error.h"
#include "codec/msgpack.h"

struct request;

enum { BODY_DECODED_HERE_BYTES = 256 << 10 }; /* of JSON: a fraction of a millisecond */

/* Of what params may be. */
extern const struct msgpack_limits body_params_limits;

/* r->body becomes msgpack, and r->params with it.
 * err  what json_to_msgpack says; INVALID: no object; the body is as it was. */
int body_decode(struct request *r, struct error *err);
/* The same on a thread of the pool.  0: at its end the request is begun or refused, and until then
 * it is left alone.  err  BUSY, NO_MEMORY: nothing was begun. */
int body_decode_elsewhere(struct request *r, struct error *err);

#endif
