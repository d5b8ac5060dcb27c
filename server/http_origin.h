/* SPDX-License-Identifier: Apache-2.0 */
/* http_origin.h — whether the page that makes a browser ask is one of this machine.
 *
 * A browser sends to 127.0.0.1 what any page of the web tells it to, without asking first where the
 * body is text, and says whose page it is in the header Origin.  A server that has no key would do
 * what such a page wants.  A page may also give the name that it came from a new address, ours:
 * then there may be no Origin, for the browser takes us for the page's own server, but Host is that
 * name.  Any thread.
 */
#ifndef SERVER_HTTP_ORIGIN_H
#define SERVER_HTTP_ORIGIN_H

#include "server/http_parser.h"

/* Why the request whose head has come is not to be done, or NULL.  Of this machine are localhost,
 * *.localhost, 127.0.0.0/8 and [::1], with any port.
 *
 * listened  a name or address that Host may have as well; NULL: Host does not matter, for no
 *           browser can have sent it */
const char *http_foreign_text(const struct http_parser *p, const char *listened);

#endif
