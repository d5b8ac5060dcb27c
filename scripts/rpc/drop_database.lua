-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Drop a database with its collections.",
   aliases = { "delete_database" },
   mutates = true,
   arguments = { args.required_database },
   returns = shapes.of_database {},
   run = function(context, a)
      context.engine.drop_database(a.database_name)
      return { database_name = a.database_name }
   end,
}
