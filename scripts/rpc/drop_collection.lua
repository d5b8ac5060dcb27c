-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Drop a collection with its records.",
   mutates = true,
   arguments = args.of_collection {},
   returns = shapes.of_collection {},
   run = function(context, a)
      context.engine.drop_collection(a.database_name, a.collection_name)
      return context.answer(a, {})
   end,
}
