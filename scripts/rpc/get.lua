-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"

return {
   summary = "Records by their ids; those that are not there are left out.",
   arguments = args.of_collection {
      args.ids("ids", "One id or several.", { required = true }),
      args.flag("return_vectors", "With their vectors.", { default = false }),
      args.flag("raw", "Ids and vectors of the answer as bins.", { default = false }),
   },
   run = function(context, a)
      local hits = context:collection(a):get(a.ids, true, a.return_vectors)
      return { items = hits:raw(a.raw):columns() }
   end,
}
