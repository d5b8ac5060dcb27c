-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Whether there is such a database.",
   arguments = { args.required_database },
   returns = shapes.of_database { exists = shapes.flag },
   run = function(context, a)
      return {
         database_name = a.database_name,
         exists = context.engine.database_exists(a.database_name),
      }
   end,
}
