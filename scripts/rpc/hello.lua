-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Who answers and what it can do; nothing needs it.",
   public = true,
   arguments = {
      args.text("client", "Who asks.", { high = 128 }),
      args.text("version", "Of the client.", { high = 64 }),
      args.text("api_key", "As authenticate takes it.", { low = 1, high = 512 }),
   },
   returns = shapes.map {
      server = shapes.text, version = shapes.text, api_level = shapes.count,
      authenticated = shapes.flag, limits = shapes.object,
   },
   run = function(context, a)
      local engine = context.engine
      local may_enter = engine.authenticate(a.api_key or "")
      if a.api_key and not may_enter then engine.refuse("UNAUTHORIZED", "Unauthorized") end
      return {
         server = "lynse", version = engine.server_state().version,
         api_level = context.api_level, authenticated = may_enter, limits = context.limits,
      }
   end,
}
