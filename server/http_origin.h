/* SPDX-License-Identifier: Apache-2.0 */
/* http_origin.h — whether the page that makes a browser ask is one of this machine.
 *
 * A browser sends to 127.0.0.1 what any page of the web tells it to, without asking first where the
 * body is text, and says whose page it is in the header Origin.  A server that has no key would do
 * what such a page wants.  Any thread.
 */
#ifndef SERVER_HTTP_ORIGIN_H
#define SERVER_HTTP_ORIGIN_H

#include <stdbool.h>

#include "base/slice.h"

/* "http://localhost:8080", 127.0.0.0/8 and [::1], with https too; any bytes. */
bool http_origin_is_local(struct slice origin);

#endif
