-- SPDX-License-Identifier: Apache-2.0
local shapes = require "lynse.shapes"

return {
   summary = "Who answers, in LynseDB's words.",
   public = true,
   arguments = {},
   returns = shapes.map { status = shapes.text, message = shapes.text },
   run = function() return { status = "success", message = "LynseDB HTTP API" } end,
}
