-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "New or replaced records, all or none.",
   mutates = true,
   arguments = args.of_rows {
      args.ids("ids", "One for each vector.", { required = true }),
      args.vectors("vectors", "A row for each record.", { required = true }),
      args.documents("fields", "A map for each record; null: it keeps the fields that it has."),
   },
   returns = shapes.written { ids = shapes.optional(shapes.given_ids) },
   run = function(context, a)
      local collection = context:collection(a)
      local written = collection:upsert(a.ids, context.rows(collection, a.vectors, a.ids), a.fields,
         nil, a.request_id)
      return context.written(a, written, { ids = a.return_ids and a.ids or nil })
   end,
}
