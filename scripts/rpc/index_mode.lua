-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local lynse = require "lynse"

return {
   summary = "The index that was asked for; null before the first.",
   arguments = args.of_collection {},
   returns = shapes.of_collection { index_mode = shapes.nullable(shapes.text) },
   run = function(context, a)
      local mode = context:collection(a):info().index_mode
      return context.answer(a, { index_mode = mode ~= "" and mode or lynse.null })
   end,
}
