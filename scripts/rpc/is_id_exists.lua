-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Whether there is a live record with this id.",
   arguments = args.of_collection { args.id("id", "The id.", { required = true }) },
   returns = shapes.of_collection { is_id_exists = shapes.flag },
   run = function(context, a)
      return context.answer(a, { is_id_exists = context:collection(a):has(a.id) })
   end,
}
