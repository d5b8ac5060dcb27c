-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The names of a database's collections.",
   arguments = { args.database },
   returns = shapes.of_database { collections = shapes.list(shapes.text) },
   run = function(context, a)
      return {
         database_name = a.database_name,
         collections = context.engine.list_collections(a.database_name),
      }
   end,
}
