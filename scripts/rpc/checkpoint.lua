-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Flush, and retire the log.",
   arguments = args.of_collection {},
   returns = shapes.of_collection {},
   run = function(context, a)
      context:collection(a):checkpoint()
      return context.answer(a, {})
   end,
}
