-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "A search whose query is the body; over HTTP the answer is a block of numbers.",
   arguments = args.of_read {
      args.dim,
      args.body("data", "dim numbers, little-endian.", { required = true }),
      args.k, args.where, args.return_fields, args.encoding, args.raw, args.vector_field,
      args.nprobe, args.approx, args.eps, args.ef, args.beam, args.oversample, args.exact,
   },
   returns = shapes.of_collection { items = shapes.items },
   run = function(context, a)
      local vector = context.engine.raw_vectors(a.data, a.dim, 1, a.vector_encoding, true)
      local hits = context.search(context:collection(a), vector, a)
      return context.answer(a, { items = hits:raw(a.raw):items(a.k) })
   end,
}
