-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "How many records there are, and what they are searched with.",
   arguments = args.of_collection {},
   returns = shapes.of_collection {
      stats = shapes.map {
         n_vectors = shapes.count, n_live = shapes.count, n_tombstoned = shapes.count,
         dimension = shapes.count, index_mode = shapes.text, max_id = shapes.integer,
      },
   },
   run = function(context, a)
      local info = context:collection(a):info()
      return context.answer(a, {
         stats = {
            n_vectors = info.live_count + info.deleted_count,
            n_live = info.live_count,
            n_tombstoned = info.deleted_count,
            dimension = info.dim,
            index_mode = info.index_mode ~= "" and info.index_mode or "none",
            max_id = info.max_id or -1,
         },
      })
   end,
}
