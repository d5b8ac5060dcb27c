-- SPDX-License-Identifier: Apache-2.0
local shapes = require "lynse.shapes"

return {
   summary = "Whether the server takes requests; over HTTP 503 where it is about to stop.",
   public = true,
   arguments = {},
   returns = shapes.map {
      status = shapes.one_of { "ready", "not_ready" }, root_path = shapes.optional(shapes.text),
   },
   run = function(context)
      local state = context.engine.server_state()
      if state.draining then context.engine.set_status(503) end
      return { status = state.draining and "not_ready" or "ready", root_path = state.data_dir }
   end,
}
