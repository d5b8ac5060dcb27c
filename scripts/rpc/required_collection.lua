-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local native = require "lynse.native"

return {
   summary = "Open a collection, or create it.",
   aliases = { "require_collection" },
   mutates = true,
   arguments = args.of_collection {
      args.integer("dim", "Components of a vector; 0: those of the first.",
         { default = 0, low = 0, high = 32768 }),
      args.flag("drop_if_exists", "Begin with an empty one.", { default = false }),
      args.text("description", "Of a new one.", { high = 4096 }),
      args.text("metric", "Of a new one.", { choices = native.metrics }),
      args.text("dtypes", "Of its vectors; there is no other than float32 yet.",
         { default = "float32", high = 32 }),
   },
   returns = shapes.of_collection {},
   run = function(context, a)
      local engine = context.engine
      if a.dtypes:lower() ~= "float32" then
         engine.refuse("UNSUPPORTED", "dtypes: there is no other than 'float32' yet")
      end
      if a.drop_if_exists and engine.collection_exists(a.database_name, a.collection_name) then
         engine.drop_collection(a.database_name, a.collection_name)
      end
      engine.require_collection(a.database_name, a.collection_name, a.dim, a.metric, a.description)
      return context.answer(a, {})
   end,
}
