/* SPDX-License-Identifier: Apache-2.0 */
/* file_room.h — descriptors for one more collection, and those that are kept for connections.
 *
 * A collection that is open stays so, with its folder and, once it was written, its log.  Without
 * this, opening them one after the other would take every descriptor, and nobody could connect any
 * more: not even to drop one.  Any thread.
 */
#ifndef SERVER_FILE_ROOM_H
#define SERVER_FILE_ROOM_H

#include <stdbool.h>

#include "base/error.h"

struct server;

/* Whether the collection may be opened; file_room_leave follows when that is done, whatever it came
 * to.  It may wait for /proc: not for a loop's thread.
 *
 * name  "database/collection"; one that callers have opened already takes no further room
 * err   BUSY: what is open, and what bounds it */
int file_room_enter(struct server *s, const char *name, struct error *err);
void file_room_leave(struct server *s);

#endif
