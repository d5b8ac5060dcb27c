/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.h — a request to its method and back: look-up, key, arguments, coroutine, answer.
 *
 * Thread: that of the loop.
 */
#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H

#include "server/request.h"

/* The request is whole: params, raw_body and method are set.  It is answered once, perhaps before
 * this returns, and is gone after that. */
void dispatch_begin(struct request *r);
/* Answer it with an error instead, and destroy it. */
void dispatch_refuse(struct request *r, const struct error *err);
/* The call that the request's coroutine waits for is done. */
struct engine_call;
void dispatch_resume(struct engine_call *call);

/* In the loop's state: once, before scripts are loaded. */
void dispatch_prepare(lua_State *L);

#endif
