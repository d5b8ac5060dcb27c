-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The ids of deleted records that could be restored.",
   arguments = args.of_read { args.limit, args.offset, args.raw },
   returns = shapes.of_collection { ids = shapes.ids },
   run = function(context, a)
      local hits = context:collection(a):walk(nil, a.offset, a.limit, false, false, true)
      return context.answer(a, { ids = hits:raw(a.raw):ids() })
   end,
}
