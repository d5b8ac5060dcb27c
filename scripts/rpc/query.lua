-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Records by a filter or by their ids, as maps; without either, all.",
   arguments = args.of_read {
      args.where,
      args.ids("filter_ids", "All of them must be there; where wins over them."),
      args.flag("return_ids_only", "Ids instead of records.", { default = false }),
      args.limit, args.offset, args.raw,
   },
   returns = shapes.of_collection {
      result = shapes.list {
         oneOf = { { type = "integer", minimum = 0 }, { type = "string" }, { type = "object" } },
      },
   },
   run = function(context, a)
      local hits = context.find(context:collection(a), a, not a.return_ids_only, false)
      hits:raw(a.raw)
      return context.answer(a, { result = a.return_ids_only and hits:ids() or hits:records() })
   end,
}
