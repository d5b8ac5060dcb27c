-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"
local dtypes = require "lynse.dtypes"

local function describe(collection, name)
   local info, description = collection:info(), collection:description()
   return {
      name = name, dim = info.dim, dtypes = dtypes.name(info.storage),
      shape = { info.live_count + info.deleted_count, info.dim },
      index_mode = info.index_mode ~= "" and info.index_mode or nil,
      description = description ~= "" and description or nil,
   }
end

local function describe_or_say_why_not(context, database, name)
   local ok, found = pcall(function()
      local which = { database_name = database, collection_name = name }
      return describe(context:collection(which), name)
   end)
   return ok and found or { name = name, error = tostring(found) }
end

return {
   summary = "What a database's collections are; opens every one.",
   arguments = { args.database },
   returns = shapes.of_database {
      collections = {
         type = "object",
         additionalProperties = shapes.map {
            name = shapes.text, dim = shapes.optional(shapes.count),
            dtypes = shapes.optional(shapes.text),
            shape = shapes.optional(shapes.list(shapes.count)),
            index_mode = shapes.optional(shapes.text), description = shapes.optional(shapes.text),
            error = shapes.optional(shapes.text),
         },
      },
   },
   run = function(context, a)
      local collections = {}
      for _, name in ipairs(context.engine.list_collections(a.database_name)) do
         collections[name] = describe_or_say_why_not(context, a.database_name, name)
      end
      return { database_name = a.database_name, collections = collections }
   end,
}
