-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Keep a hook no longer.",
   mutates = true,
   arguments = args.of_collection { args.point },
   returns = shapes.of_collection {},
   run = function(context, a)
      context:collection(a):drop_hook(a.point)
      return context.answer(a, {})
   end,
}
