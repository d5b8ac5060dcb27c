-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Bring deleted records back; ids that are not deleted are skipped.",
   mutates = true,
   arguments = args.of_write { args.ids("ids", "One id or several.", { required = true }) },
   returns = shapes.written { status = shapes.text },
   run = function(context, a)
      local done = context:collection(a):restore(a.ids, a.request_id)
      return context.written(a, done, { status = "ok" })
   end,
}
