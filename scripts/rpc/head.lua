-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The n first records in the order in which they were written.",
   arguments = args.of_collection { args.n, args.raw },
   returns = shapes.of_collection { head = shapes.data },
   run = function(context, a)
      local hits = context.head(context:collection(a), a.n)
      return context.answer(a, { head = hits:raw(a.raw):data() })
   end,
}
