-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The k records nearest to each of several vectors.",
   arguments = args.of_read {
      args.vectors("vectors", "A row for each query.", { required = true }),
      args.k, args.where, args.return_fields, args.score, args.rerank, args.score_options,
      args.rerank_options, args.no_hooks, args.raw, args.vector_field, args.nprobe, args.approx,
      args.eps, args.return_vectors, args.ef, args.beam, args.oversample, args.exact,
      args.score_mode,
   },
   returns = shapes.of_collection {
      results = shapes.list(shapes.map {
         ids = shapes.ids, scores = shapes.vector, fields = shapes.documents,
      }),
   },
   run = function(context, a)
      local collection = context:collection(a)
      local hits = context.search(collection, context.rows(collection, a.vectors), a)
      return context.answer(a, { results = hits:raw(a.raw):results() })
   end,
}
