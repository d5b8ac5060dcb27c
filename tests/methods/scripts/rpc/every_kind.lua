-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "An argument of every kind.",
   aliases = { "all_kinds" },
   arguments = args.of_collection {
      args.text("text", "1 to 8 bytes.", { low = 1, high = 8 }),
      args.text("word", "One of two.", { default = "up", choices = { "up", "down" } }),
      args.flag("flag", "Or not.", { default = true }),
      args.integer("whole", "5 to 9.", { required = true, low = 5, high = 9 }),
      args.number("number", "At least 0.5.", { default = 1, low = 0.5 }),
      args.id "id", args.ids "ids", args.vector "vector", args.vectors "vectors",
      args.documents "documents", args.texts "texts", args.document "document", args.value "value",
   },
   returns = shapes.map { whole = shapes.integer, word = shapes.text, text = shapes.text },
   run = function(_, a) return { whole = a.whole, word = a.word, text = a.text or "none" } end,
}
