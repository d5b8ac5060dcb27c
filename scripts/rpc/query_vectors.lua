-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Records by a filter or by their ids, with their vectors; without either, all.",
   arguments = args.of_read {
      args.where,
      args.ids("filter_ids", "All of them must be there; where wins over them."),
      args.limit, args.offset, args.raw,
   },
   returns = shapes.of_collection { result = shapes.data },
   run = function(context, a)
      local hits = context.find(context:collection(a), a, true, true)
      return context.answer(a, { result = hits:raw(a.raw):data() })
   end,
}
