-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The hooks that a collection keeps.",
   arguments = args.of_collection {},
   returns = shapes.of_collection {
      hooks = shapes.list(shapes.map {
         point = shapes.text, source = shapes.text, options = shapes.object,
         on_failure = shapes.one_of { "fail", "skip" }, version = shapes.count,
         is_trusted = shapes.flag, is_disabled = shapes.flag,
      }),
   },
   run = function(context, a)
      return context.answer(a, { hooks = context:collection(a):list_hooks() })
   end,
}
