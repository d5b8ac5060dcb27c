-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The largest whole number that was ever an id; -1 before the first.",
   arguments = args.of_collection {},
   returns = shapes.of_collection { max_id = shapes.integer },
   run = function(context, a)
      return context.answer(a, { max_id = context:collection(a):info().max_id or -1 })
   end,
}
