-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local lynse = require "lynse"

-- What is given as null is not given.  n_clusters may stand beside params, and in them.
local function params_of(context, a)
   local params = {}
   if a.params ~= nil and type(a.params) ~= "table" then
      context.engine.refuse("INVALID", "params: must be a map")
   end
   for name, value in pairs(a.params or {}) do
      if value ~= lynse.null then params[name] = value end
   end
   if a.n_clusters then
      if params.n_clusters and params.n_clusters ~= a.n_clusters then
         context.engine.refuse("INVALID", ("n_clusters: %s, but %s in params"):format(
            tostring(a.n_clusters), tostring(params.n_clusters)))
      end
      params.n_clusters = a.n_clusters
   end
   return params
end

local NOT_YET = "the index is not built yet; it goes on, and index_status says how far it is"
local PAUSE_MS_MAX = 200

-- Until the segments that are there now have it; others are built while this waits.
local function wait_for(context, collection)
   local asked, ms = collection:info(), 1
   local info = asked
   while info.indexed_segment_count < math.min(asked.segment_count, info.segment_count) do
      if info.index_mode ~= asked.index_mode and not info.index_is_auto then
         context.engine.refuse("CANCELLED", "another index was asked for, or none any more")
      end
      if info.index_failure_code then
         context.engine.refuse(info.index_failure_code, info.index_failure)
      end
      context.engine.pause(ms, NOT_YET)
      ms = math.min(2 * ms, PAUSE_MS_MAX)
      info = collection:info()
   end
end

return {
   summary = "Search with this index from now on; answers when it is built.",
   mutates = true,
   arguments = args.of_collection {
      args.text("index_mode", "A kind of index and a metric, such as HNSW-L2 (docs/INDEXES.md).",
         { default = "FLAT-IP", low = 1, high = 64 }),
      args.integer("n_clusters", "Of an index with clusters; as in params.",
         { low = 0, high = 1048576 }),
      args.value("params", "A map of the index's parameters, by their names."),
      args.flag("wait", "false: answer at once, and build in the background.",
         { default = true }),
   },
   returns = shapes.of_collection {
      index_mode = shapes.text, n_clusters = shapes.nullable(shapes.count),
      params = shapes.nullable(shapes.object),
   },
   run = function(context, a)
      local collection = context:collection(a)
      collection:build_index(a.index_mode, params_of(context, a))
      if a.wait then wait_for(context, collection) end
      return context.answer(a, {
         index_mode = a.index_mode, n_clusters = a.n_clusters or lynse.null,
         params = a.params or lynse.null,
      })
   end,
}
