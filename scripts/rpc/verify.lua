-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

local LEVELS = { quick = 1, full = 2, deep = 3 }

return {
   summary = "Look at all of a collection and say what is wrong with it, a sentence each.",
   arguments = args.of_read {
      args.text("level", "What opening reads; every checksum, record and id; and all indexes.",
         { default = "full", choices = { "quick", "full", "deep" } }),
   },
   returns = shapes.of_collection {
      level = shapes.text, is_sound = shapes.flag, findings = shapes.list(shapes.text),
      indexes = shapes.list(shapes.text),
   },
   run = function(context, a)
      local report = context:collection(a):verify(LEVELS[a.level])
      report.level, report.is_sound = a.level, #report.findings == 0
      return context.answer(a, report)
   end,
}
