-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Make durable what was written; answers up to which number of the log all is.",
   arguments = args.of_collection {},
   returns = shapes.of_collection { durable_lsn = shapes.count },
   run = function(context, a)
      return context.answer(a, { durable_lsn = context:collection(a):sync() })
   end,
}
