-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Search without an index; the metric stays.",
   mutates = true,
   arguments = args.of_collection {},
   returns = shapes.of_collection {},
   run = function(context, a)
      context:collection(a):remove_index()
      return context.answer(a, {})
   end,
}
