-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Describe a collection anew.",
   aliases = { "update_description" },
   mutates = true,
   arguments = args.of_collection {
      args.text("description", "What people shall read; empty: nothing.",
         { required = true, high = 4096 }),
   },
   returns = shapes.of_collection { description = shapes.text },
   run = function(context, a)
      context:collection(a):describe(a.description ~= "" and a.description or nil)
      return context.answer(a, { description = a.description })
   end,
}
