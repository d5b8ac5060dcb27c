-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Make a database; one that is there stays.",
   mutates = true,
   arguments = {
      args.required_database,
      args.flag("drop_if_exists", "Begin with an empty one.", { default = false }),
   },
   returns = shapes.of_database {},
   run = function(context, a)
      local engine, name = context.engine, a.database_name
      if a.drop_if_exists and engine.database_exists(name) then engine.drop_database(name) end
      local made, failure = context.native.create_database(name)
      if not made and failure.code ~= "ALREADY_EXISTS" then error(failure, 0) end
      return { database_name = name }
   end,
}
