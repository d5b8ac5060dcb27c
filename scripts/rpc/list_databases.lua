-- SPDX-License-Identifier: Apache-2.0
local shapes = require "lynse.shapes"

return {
   summary = "The names of all databases.",
   arguments = {},
   returns = shapes.map { databases = shapes.list(shapes.text) },
   run = function(context) return { databases = context.engine.list_databases() } end,
}
