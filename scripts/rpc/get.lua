-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Records by their ids; those that are not there are left out.",
   arguments = args.of_collection {
      args.ids("ids", "One id or several.", { required = true }),
      args.flag("return_vectors", "With their vectors.", { default = false }),
      args.flag("return_fields", "With their fields.", { default = true }),
      args.raw,
   },
   returns = shapes.map {
      items = shapes.map {
         ids = shapes.ids, fields = shapes.documents, dim = shapes.optional(shapes.count),
         vectors = shapes.optional(shapes.list(shapes.vector)),
      },
   },
   run = function(context, a)
      local hits = context:collection(a):get(a.ids, a.return_fields, a.return_vectors)
      return { items = hits:raw(a.raw):columns() }
   end,
}
