-- SPDX-License-Identifier: Apache-2.0
local shapes = require "lynse.shapes"

return {
   summary = "Whether the server is alive.",
   public = true,
   arguments = {},
   returns = shapes.map { status = shapes.text },
   run = function() return { status = "ok" } end,
}
