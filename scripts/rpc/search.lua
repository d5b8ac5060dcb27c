-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The k records nearest to a vector, nearest first.",
   arguments = args.of_read {
      args.vector("vector", "The query.", { required = true }),
      args.k, args.where, args.return_fields, args.score, args.rerank, args.score_options,
      args.rerank_options, args.no_hooks, args.raw, args.vector_field, args.nprobe, args.approx,
      args.eps, args.return_vectors, args.ef, args.beam, args.oversample, args.exact,
      args.score_mode,
   },
   returns = shapes.of_collection { items = shapes.items },
   run = function(context, a)
      local hits = context.search(context:collection(a), a.vector, a)
      return context.answer(a, { items = hits:raw(a.raw):items(a.k) })
   end,
}
