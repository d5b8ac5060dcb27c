-- SPDX-License-Identifier: Apache-2.0
-- shapes.lua: how a method declares what it answers, as schemas of JSON.
--
-- scripts/rpc/openapi.lua and docs/METHODS.md are made from them; nothing is checked against them
-- when an answer is written, but tests/server does.
local lynse = require "lynse"

local shapes = {
   text = { type = "string" },
   flag = { type = "boolean" },
   integer = { type = "integer" },
   count = { type = "integer", minimum = 0 },
   number = { type = "number" },
   object = { type = "object" },
   id = { oneOf = { { type = "integer", minimum = 0 }, { type = "string" } } },
}

function shapes.list(of) return { type = "array", items = of } end

-- The value, or null.
function shapes.nullable(of)
   local made = { nullable = true }
   for key, value in pairs(of) do made[key] = value end
   return made
end

-- The value, or nothing at all.
function shapes.optional(of) return { optional = true, of = of } end

function shapes.one_of(words) return { type = "string", enum = lynse.array(words) } end

function shapes.map(properties)
   local made = { type = "object", properties = {}, required = lynse.array {} }
   for name, of in pairs(properties) do
      made.properties[name] = of.optional and of.of or of
      if not of.optional then made.required[#made.required + 1] = name end
   end
   table.sort(made.required)
   if #made.required == 0 then made.required = nil end
   return made
end

function shapes.of_database(properties)
   properties.database_name = shapes.text
   return shapes.map(properties)
end

function shapes.of_collection(properties)
   properties.collection_name = shapes.text
   return shapes.of_database(properties)
end

shapes.ids = shapes.list(shapes.id)
-- As they came.
shapes.given_ids = { oneOf = { shapes.id.oneOf[1], shapes.id.oneOf[2], shapes.ids } }
shapes.vector = shapes.list(shapes.number)
shapes.documents = shapes.list(shapes.object)
-- Of a search.
shapes.items = shapes.map {
   k = shapes.count, ids = shapes.ids, scores = shapes.vector, vector_field = shapes.text,
   fields = shapes.documents,
   skipped_hooks = shapes.optional(shapes.list(shapes.one_of { "score", "rerank" })),
}
-- [vectors, ids, fields]
shapes.data = { type = "array", items = shapes.list({}), minItems = 3, maxItems = 3 }
-- What a write came to.
function shapes.written(properties)
   properties.lsn, properties.row_count, properties.sync = shapes.count, shapes.count, shapes.text
   properties.is_repeat = shapes.optional(shapes.flag) -- true: of a request that was applied before
   return shapes.of_collection(properties)
end

return shapes
