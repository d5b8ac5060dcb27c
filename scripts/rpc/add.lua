-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"

return {
   summary = "New records, all or none.",
   arguments = args.of_collection {
      args.ids("ids", "One for each vector; without, the collection gives them."),
      args.vectors("vectors", "A row for each record.", { required = true }),
      args.documents("fields", "A map for each record, or null."),
   },
   run = function(context, a)
      local collection = context:collection(a)
      local vectors = a.vectors
      if a.ids then vectors = context.engine.split_vectors(vectors, collection:info().dim) end
      local result = collection:add(a.ids, vectors, a.fields)
      return {
         database_name = a.database_name, collection_name = a.collection_name, ids = a.ids,
         lsn = result.lsn, row_count = result.row_count, first_id = result.first_number,
         sync = result.sync,
      }
   end,
}
