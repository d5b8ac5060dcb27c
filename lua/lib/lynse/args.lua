-- SPDX-License-Identifier: Apache-2.0
-- args.lua: how a method declares its arguments.
--
-- Each function here makes one: { name, kind, doc =, required =, default =, low =, high = }.  Their
-- order is that of arguments by position.  What kinds there are and what they take is in
-- server/arguments.h, which checks them.
local args = {}

local function argument(kind, name, doc, options)
   local made = { name, kind, doc = doc }
   for key, value in pairs(options or {}) do made[key] = value end
   return made
end

for _, kind in ipairs {
   "name", "text", "flag", "integer", "number", "id", "ids", "vector", "vectors", "documents",
   "texts", "value",
} do
   args[kind] = function(name, doc, options) return argument(kind, name, doc, options) end
end

args.database = args.name("database_name", "The database.", { default = "default" })
args.collection_name = args.name("collection_name", "The collection.", { required = true })

-- The arguments of a method on a database: its own, and the database's name at the end.
function args.of_database(list)
   list[#list + 1] = args.database
   return list
end

-- … on a collection: its name first, the database's at the end.
function args.of_collection(list)
   table.insert(list, 1, args.collection_name)
   list[#list + 1] = args.database
   return list
end

args.where = args.text("where", "Only records for which this is true (docs/WHERE.md).",
   { high = 65536 })
args.return_fields = args.flag("return_fields", "Whether the hits have their fields.",
   { default = false })
args.k = args.integer("k", "How many hits are wanted.", { default = 10, low = 0, high = 100000 })

return args
