-- SPDX-License-Identifier: Apache-2.0
-- metrics.lua: where Prometheus looks for them.
return {
   ["GET /metrics"] = {
      method = "metrics", reply = "text", params = "query",
      content_type = "text/plain; version=0.0.4; charset=utf-8",
   },
}
