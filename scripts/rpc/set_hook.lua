-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Keep a hook with the collection, in the place of what was there (docs/LUA.md).",
   mutates = true,
   arguments = args.of_collection {
      args.point,
      args.text("source", "Source text in Lua, or the name of a shipped script.",
         { required = true, low = 1, high = 65536 }),
      args.document("options", "What it gets as its last argument."),
      args.text("on_failure", "Of a search when the hook fails: it fails, or does without.",
         { default = "fail", choices = { "fail", "skip" } }),
   },
   returns = shapes.of_collection { version = shapes.count },
   run = function(context, a)
      local collection = context:collection(a)
      local version = collection:set_hook(a.point, a.source, a.options, a.on_failure)
      return context.answer(a, { version = version })
   end,
}
