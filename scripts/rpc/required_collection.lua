-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local dtypes = require "lynse.dtypes"
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
      args.text("dtypes", "What its vectors are kept as; of one that is there float32 is any.",
         { default = "float32", choices = dtypes.names }),
   },
   returns = shapes.of_collection {},
   run = function(context, a)
      local engine = context.engine
      if a.drop_if_exists and engine.collection_exists(a.database_name, a.collection_name) then
         engine.drop_collection(a.database_name, a.collection_name)
      end
      engine.require_collection(a.database_name, a.collection_name, a.dim, a.metric, a.description,
         dtypes.word(a.dtypes))
      return context.answer(a, {})
   end,
}
