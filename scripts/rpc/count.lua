-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "How many live records there are, or match a filter.",
   arguments = args.of_read { args.where },
   returns = shapes.map { count = shapes.count },
   run = function(context, a) return { count = context:collection(a):count(a.where) } end,
}
