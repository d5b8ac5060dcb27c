/* SPDX-License-Identifier: Apache-2.0 */
/* tickets.h — writes that a program does not wait for, and what every write answers.
 *
 * A ticket is a userdata of the state that has begun the write, and with it a block that the
 * library's thread fills when the answer comes.  Functions on a lua_State: its thread.
 */
#ifndef LUA_MODULE_TICKETS_H
#define LUA_MODULE_TICKETS_H

#include <lua.h>
#include <lynse.h>
#include <stdbool.h>

struct ticket;
extern const char ticket_metatable[];

/* Once for a state. */
void tickets_prepare(lua_State *L);

/* Push a ticket of the root of the collection at `index`, and have options->done fill it.
 * has_first: the result has an id that the collection gave.  Raises when memory runs out. */
struct ticket *ticket_push(lua_State *L, int index, bool has_first,
                           struct lynse_write_options *options);
/* The write is about to begin: nothing raises from here to ticket_answer. */
void ticket_begin(struct ticket *ticket);
/* What the write's call returns: the ticket, which is at the top, or nil and the error. */
int ticket_answer(lua_State *L, struct ticket *ticket, int code, const struct lynse_error *err);

/* {lsn, count, sync, first_id} */
int write_result_push(lua_State *L, const struct lynse_write_result *r, bool has_first);

#endif
