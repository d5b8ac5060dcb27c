-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"

return {
   summary = "The k records nearest to a vector, nearest first.",
   arguments = args.of_collection {
      args.vector("vector", "The query.", { required = true }),
      args.k,
      args.where,
      args.return_fields,
      args.text("score", "Source text in Lua of a function that ranks (docs/LUA.md).",
         { high = 65536 }),
      args.text("rerank", "Source text in Lua, or the name of a shipped script.", { high = 65536 }),
      args.flag("raw", "Ids, scores and vectors of the answer as bins.", { default = false }),
   },
   run = function(context, a)
      local hits = context:collection(a):search(a.vector, {
         k = a.k, where = a.where, fields = a.return_fields, score = a.score, rerank = a.rerank,
      })
      return {
         database_name = a.database_name, collection_name = a.collection_name,
         items = hits:raw(a.raw):items(a.k),
      }
   end,
}
