-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Searches whose queries are the body; over HTTP the answer is blocks of numbers.",
   arguments = args.of_read {
      args.dim,
      args.integer("n_queries", "How many.", { required = true, low = 1, high = 10000 }),
      args.body("data", "n_queries × dim numbers, little-endian.", { required = true }),
      args.k, args.where, args.return_fields, args.encoding, args.raw, args.vector_field,
      args.nprobe, args.approx, args.eps, args.ef, args.beam, args.oversample, args.exact,
   },
   returns = shapes.of_collection {
      results = shapes.list(shapes.map {
         ids = shapes.ids, scores = shapes.vector, fields = shapes.documents,
      }),
   },
   run = function(context, a)
      local vectors = context.engine.raw_vectors(a.data, a.dim, a.n_queries, a.vector_encoding)
      local hits = context.search(context:collection(a), vectors, a)
      return context.answer(a, { results = hits:raw(a.raw):results() })
   end,
}
