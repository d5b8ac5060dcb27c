-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local dtypes = require "lynse.dtypes"
local lynse = require "lynse"

return {
   summary = "What a collection was made with.",
   arguments = args.of_collection {},
   returns = shapes.of_collection {
      config = shapes.map {
         dim = shapes.count, chunk_size = shapes.count, description = shapes.nullable(shapes.text),
         dtypes = shapes.text,
      },
   },
   run = function(context, a)
      local collection = context:collection(a)
      local info, description = collection:info(), collection:description()
      return context.answer(a, {
         config = {
            dim = info.dim, chunk_size = 100000, dtypes = dtypes.name(info.storage),
            description = description ~= "" and description or lynse.null,
         },
      })
   end,
}
