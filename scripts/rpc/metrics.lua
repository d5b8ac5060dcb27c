-- SPDX-License-Identifier: Apache-2.0
local shapes = require "lynse.shapes"

-- What a collection has is asked of those that callers have opened, and of no other.
return {
   urgent = true,
   summary = "Counters and gauges as Prometheus' text (docs/METRICS.md).",
   arguments = {},
   returns = shapes.text,
   run = function(context)
      local engine, known = context.engine, {}
      for _, entry in ipairs(engine.opened_collections()) do
         local found, collection = pcall(context.collection, context,
            { database_name = entry.database, collection_name = entry.collection })
         local told, info
         if found then told, info = pcall(collection.info, collection) end
         if told then
            entry.info = info
            known[#known + 1] = entry
         elseif (found and info or collection).code == "NOT_FOUND" then
            engine.forget_collection(entry.database, entry.collection)
         end
      end
      return engine.metrics_text(known)
   end,
}
