-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"

return {
   summary = "Open a collection, or create it.",
   aliases = { "require_collection" },
   arguments = args.of_collection {
      args.integer("dim", "Components of a vector; 0: those of the first.",
         { default = 0, low = 0, high = 32768 }),
      args.flag("drop_if_exists", "Begin with an empty one.", { default = false }),
      args.text("description", "Of a new one.", { high = 4096 }),
      args.text("metric", "Of a new one: ip, l2 or cosine.", { high = 32 }),
   },
   run = function(context, a)
      local engine = context.engine
      if a.drop_if_exists and engine.collection_exists(a.database_name, a.collection_name) then
         engine.drop_collection(a.database_name, a.collection_name)
      end
      engine.require_collection(a.database_name, a.collection_name, a.dim, a.metric, a.description)
      return { database_name = a.database_name, collection_name = a.collection_name }
   end,
}
