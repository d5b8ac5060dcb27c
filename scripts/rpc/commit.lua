-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Make durable what was written, in LynseDB's words; sync does the same.",
   arguments = args.of_collection {},
   returns = shapes.map { status = shapes.text, result = shapes.of_collection {} },
   run = function(context, a)
      context:collection(a):sync()
      return { status = "Success", result = context.answer(a, {}) }
   end,
}
