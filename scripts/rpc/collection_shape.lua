-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Rows, those that were deleted among them, and components of a vector.",
   arguments = args.of_collection {},
   returns = shapes.of_collection { shape = shapes.list(shapes.count) },
   run = function(context, a)
      local info = context:collection(a):info()
      return context.answer(a, { shape = { info.live_count + info.deleted_count, info.dim } })
   end,
}
