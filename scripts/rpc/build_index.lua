-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local lynse = require "lynse"

return {
   summary = "Search with this index from now on; answers when it is built.",
   mutates = true,
   arguments = args.of_collection {
      args.text("index_mode", "FLAT-IP, FLAT-L2 or FLAT-COS.",
         { default = "FLAT-IP", low = 1, high = 64 }),
      args.integer("n_clusters", "Of an index with clusters.", { low = 1, high = 1000000 }),
      args.value("params", "Of an index that has some."),
   },
   returns = shapes.of_collection {
      index_mode = shapes.text, n_clusters = shapes.nullable(shapes.count),
      params = shapes.nullable(shapes.object),
   },
   run = function(context, a)
      for key in pairs(a.params or {}) do
         if key ~= "n_clusters" then
            context.engine.refuse("INVALID",
               ("unknown index build parameter '%s'; supported keys: n_clusters"):format(key))
         end
      end
      context:collection(a):build_index(a.index_mode)
      return context.answer(a, {
         index_mode = a.index_mode, n_clusters = a.n_clusters or lynse.null,
         params = a.params or lynse.null,
      })
   end,
}
