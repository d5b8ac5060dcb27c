-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Records at or nearer than a score, nearest first; through an index most of them.",
   arguments = args.of_read {
      args.vector("vector", "The query.", { required = true }),
      args.number("threshold", "The score.", { required = true }),
      args.integer("max_results", "How many at most.", { default = 1000, low = 0, high = 100000 }),
      args.where, args.no_hooks, args.raw, args.score, args.rerank, args.score_options,
      args.rerank_options, args.raw_fields, args.return_vectors,
      args.nprobe, args.ef, args.beam, args.oversample, args.exact,
      args.score_mode, args.approx, args.eps,
   },
   returns = shapes.of_collection {
      result = shapes.map { ids = shapes.ids, distances = shapes.vector },
   },
   run = function(context, a)
      local collection = context:collection(a)
      if a.max_results == 0 then
         local none = { ids = context.array {}, distances = context.array {} }
         return context.answer(a, { result = none })
      end
      local hits = context.search(collection, a.vector, a)
      return context.answer(a, { result = hits:raw(a.raw):range() })
   end,
}
