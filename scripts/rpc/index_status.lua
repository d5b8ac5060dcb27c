-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local lynse = require "lynse"

return {
   summary = "How far the index is that was asked for; until it is built searches are exact.",
   arguments = args.of_collection {},
   returns = shapes.of_collection {
      index_mode = shapes.nullable(shapes.text), is_auto = shapes.flag, params = shapes.object,
      progress = shapes.number, indexed_segment_count = shapes.count,
      segment_count = shapes.count, is_ready = shapes.flag,
      recall_measured = shapes.nullable(shapes.number), recall_query_count = shapes.count,
      recall_measured_at = shapes.nullable(shapes.number),
      failure = shapes.nullable(shapes.text),
   },
   run = function(context, a)
      local info = context:collection(a):info()
      local has_index = info.index_mode ~= ""
      return context.answer(a, {
         index_mode = has_index and info.index_mode or lynse.null, is_auto = info.index_is_auto,
         params = info.index_params,
         progress = info.index_progress, indexed_segment_count = info.indexed_segment_count,
         segment_count = info.segment_count,
         is_ready = has_index and info.indexed_segment_count == info.segment_count,
         recall_measured = info.recall_measured or lynse.null,
         recall_query_count = info.recall_query_count,
         recall_measured_at = info.recall_measured_at or lynse.null,
         failure = info.index_failure_code and info.index_failure or lynse.null,
      })
   end,
}
