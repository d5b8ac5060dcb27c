-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The names of all fields that records have.",
   arguments = args.of_collection {},
   returns = shapes.of_collection { fields = shapes.list(shapes.text) },
   run = function(context, a)
      return context.answer(a, { fields = context:collection(a):list_fields() })
   end,
}
