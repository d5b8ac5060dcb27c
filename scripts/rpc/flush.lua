-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Write what is in memory into a segment.",
   arguments = args.of_collection {},
   returns = shapes.of_collection {},
   run = function(context, a)
      context:collection(a):flush()
      return context.answer(a, {})
   end,
}
