-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Delete records, by their ids or by a filter; ids that are not there are skipped.",
   mutates = true,
   arguments = args.of_write {
      args.ids("ids", "One id or several."),
      args.where,
   },
   returns = shapes.written { status = shapes.text },
   run = function(context, a)
      if (a.ids == nil) == (a.where == nil) then
         context.engine.refuse("INVALID", "ids, where: one of them must be given")
      end
      local collection = context:collection(a)
      local done = a.ids and collection:delete(a.ids, a.request_id)
         or collection:delete_where(a.where, a.request_id)
      return context.written(a, done, { status = "ok" })
   end,
}
