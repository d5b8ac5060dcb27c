-- SPDX-License-Identifier: Apache-2.0
-- service.lua: the routes of the server itself, and LynseDB's that are no POST of JSON.
return {
   ["GET /"] = { method = "about", reply = "plain", params = "query" },
   ["GET /healthz"] = { method = "health", reply = "plain", params = "query" },
   ["GET /readyz"] = { method = "ready", reply = "plain", params = "query" },
   ["GET /list_databases"] = { method = "list_databases", params = "query" },
   ["GET /openapi.json"] = { method = "openapi", reply = "plain", params = "query" },
   ["POST /commit"] = { method = "commit", reply = "plain" },
   ["POST /bulk_add_binary"] = { method = "bulk_add_binary", params = "query" },
   ["POST /add_records_binary"] = { method = "add_records_binary", params = "query" },
   ["POST /upsert_records_binary"] = { method = "upsert_records_binary", params = "query" },
   ["POST /search_binary"] = { method = "search_binary", reply = "search_block", params = "query" },
   ["POST /batch_search_binary"] = {
      method = "batch_search_binary", reply = "batch_block", params = "query",
   },
   ["GET /head_binary"] = { method = "head_binary", reply = "rows_block", params = "query" },
   ["GET /tail_binary"] = { method = "tail_binary", reply = "rows_block", params = "query" },
}
