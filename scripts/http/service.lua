-- SPDX-License-Identifier: Apache-2.0
-- service.lua: the routes of the server itself.
return {
   ["GET /"] = { method = "hello", reply = "plain", params = "query" },
   ["GET /healthz"] = { method = "health", reply = "plain", params = "query" },
   ["GET /list_databases"] = { method = "list_databases", params = "query" },
}
