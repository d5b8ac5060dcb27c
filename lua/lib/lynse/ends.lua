-- SPDX-License-Identifier: Apache-2.0
-- ends.lua: head and tail, each also as the block of numbers that its route answers with
-- (scripts/http/service.lua): the methods are the same.
local args = require "lynse.args"
local shapes = require "lynse.shapes"

-- which: "head" or "tail", as context has them.
return function(which, summary)
   return {
      summary = summary,
      arguments = args.of_collection { args.n, args.raw },
      returns = shapes.of_collection { [which] = shapes.data },
      run = function(context, a)
         local hits = context[which](context:collection(a), a.n)
         return context.answer(a, { [which] = hits:raw(a.raw):data() })
      end,
   }
end
