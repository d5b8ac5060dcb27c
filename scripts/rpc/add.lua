-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "New records, all or none.",
   mutates = true,
   arguments = args.of_rows {
      args.ids("ids", "One for each vector; without, the collection gives them."),
      args.vectors("vectors", "A row for each record.", { required = true }),
      args.documents("fields", "A map for each record, or null."),
   },
   returns = shapes.written {
      ids = shapes.optional(shapes.given_ids), first_id = shapes.optional(shapes.count),
   },
   run = function(context, a)
      local collection = context:collection(a)
      local written = collection:add(a.ids, context.rows(collection, a.vectors, a.ids), a.fields,
         nil, a.request_id)
      return context.written(a, written, {
         ids = a.return_ids and a.ids or nil, first_id = not a.ids and written.first_number or nil,
      })
   end,
}
