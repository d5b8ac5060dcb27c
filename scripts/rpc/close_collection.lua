-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Make durable what was written and let the collection go; the next request opens it.",
   arguments = args.of_collection {},
   returns = shapes.of_collection {},
   run = function(context, a)
      context:collection(a):sync()
      context.forget(a)
      return context.answer(a, {})
   end,
}
