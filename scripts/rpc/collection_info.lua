-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local native = require "lynse.native"
local lynse = require "lynse"

return {
   summary = "All that a collection says of itself.",
   arguments = args.of_collection {},
   returns = shapes.of_collection {
      dim = shapes.count, storage = shapes.text, metric = shapes.one_of(native.metrics),
      sync = shapes.text,
      live_count = shapes.count, deleted_count = shapes.count, tail_count = shapes.count,
      segment_count = shapes.count, applied_lsn = shapes.count, durable_lsn = shapes.count,
      max_id = shapes.integer, index_mode = shapes.text, directory = shapes.text,
      is_read_only = shapes.flag, description = shapes.text,
      index_params = shapes.object, index_progress = shapes.number,
      indexed_segment_count = shapes.count, index_is_auto = shapes.flag,
      index_is_building = shapes.flag, unindexed_count = shapes.count,
      index_build_count = shapes.count, index_failure_count = shapes.count,
      recall_query_count = shapes.count,
      recall_measured = shapes.nullable(shapes.number),
      recall_measured_at = shapes.nullable(shapes.number),
      index_failure = shapes.text, index_failure_code = shapes.text,
   },
   run = function(context, a)
      local collection = context:collection(a)
      local info = collection:info()
      info.max_id = info.max_id or -1
      info.recall_measured = info.recall_measured or lynse.null
      info.recall_measured_at = info.recall_measured_at or lynse.null
      info.index_failure_code = info.index_failure_code or ""
      info.description = collection:description()
      return context.answer(a, info)
   end,
}
