-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "New records, all or none, in a binary body.",
   mutates = true,
   arguments = args.of_records_binary("a row without fields has none"),
   returns = shapes.written { ids = shapes.ids },
   run = function(context, a)
      local ids, vectors, fields = context.records(a)
      local written = context:collection(a):add(ids, vectors, fields, nil, a.request_id)
      return context.written(a, written, { ids = ids })
   end,
}
