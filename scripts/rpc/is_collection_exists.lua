-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Whether there is such a collection.",
   arguments = args.of_collection {},
   returns = shapes.of_collection { exists = shapes.flag },
   run = function(context, a)
      return context.answer(a, {
         exists = context.engine.collection_exists(a.database_name, a.collection_name),
      })
   end,
}
