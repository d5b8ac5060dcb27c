-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Records by their ids, with their vectors; all of them must be there.",
   arguments = args.of_collection {
      args.ids("id", "One id or several.", { required = true }),
      args.raw,
   },
   returns = shapes.of_collection { item = shapes.data },
   run = function(context, a)
      local hits = context:collection(a):get(a.id, true, true, true)
      return context.answer(a, { item = hits:raw(a.raw):data() })
   end,
}
