-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "End a call that is under way, of any connection: it answers CANCELLED.",
   urgent = true,
   arguments = {
      args.request_id("request_id", "The one that the call was given.", { required = true }),
   },
   -- false: nothing is under way by that id, or no longer
   returns = shapes.map { cancelled = shapes.flag },
   run = function(context, a) return { cancelled = context.engine.cancel(a.request_id) } end,
}
