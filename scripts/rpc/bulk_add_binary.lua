-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "New records of nothing but a vector, in a body of numbers; they get their ids.",
   mutates = true,
   arguments = args.of_write {
      args.dim,
      args.integer("n_vectors", "How many.", { required = true, low = 1, high = 100000 }),
      args.body("data", "n_vectors × dim numbers, little-endian.", { required = true }),
      args.encoding,
   },
   returns = shapes.written { n_vectors = shapes.count, first_id = shapes.count },
   run = function(context, a)
      local vectors = context.engine.raw_vectors(a.data, a.dim, a.n_vectors, a.vector_encoding)
      local written = context:collection(a):add(nil, vectors, nil, nil, a.request_id)
      return context.written(a, written,
         { n_vectors = a.n_vectors, first_id = written.first_number })
   end,
}
