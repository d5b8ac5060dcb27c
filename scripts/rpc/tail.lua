-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The n last records in the order in which they were written.",
   arguments = args.of_collection { args.n, args.raw },
   returns = shapes.of_collection { tail = shapes.data },
   run = function(context, a)
      local hits = context.tail(context:collection(a), a.n)
      return context.answer(a, { tail = hits:raw(a.raw):data() })
   end,
}
