-- SPDX-License-Identifier: Apache-2.0
-- schemas.lua: arguments of methods as schemas of JSON: what HTTP takes.
local args = require "lynse.args"
local lynse = require "lynse"
local shapes = require "lynse.shapes"

local schemas = {}

local number = { type = "number", minimum = -3.4e38, maximum = 3.4e38 } -- a float32 holds it
local vector = { type = "array", items = number, minItems = 1, maxItems = 32768 }
local id = {
   oneOf = {
      { type = "integer", minimum = 0, maximum = args.whole_max },
      { type = "string", minLength = 1, maxLength = 255 },
   },
}

local kinds = {
   name = { type = "string", minLength = 1, maxLength = 128, pattern = "^[A-Za-z0-9._-]+$" },
   text = { type = "string" },
   flag = { type = "boolean" },
   integer = { type = "integer" },
   number = { type = "number" },
   id = id,
   ids = { oneOf = { id.oneOf[1], id.oneOf[2], shapes.list(id) } },
   vector = vector,
   vectors = { type = "array", items = vector, minItems = 1, maxItems = 100000 },
   documents = shapes.list(shapes.nullable(shapes.object)),
   document = shapes.object,
   texts = shapes.list(shapes.text),
   value = shapes.object,
   request_id = { type = "string", pattern = "^[0-9A-Fa-f]{32}$" },
   body = { type = "string", format = "binary" },
}

local function set_bounds(made, argument)
   local is_text = made.type == "string"
   if argument.low then made[is_text and "minLength" or "minimum"] = argument.low end
   if argument.high then made[is_text and "maxLength" or "maximum"] = argument.high end
end

-- null is as good as absent.
local function set_nullable(made)
   made.nullable = true
   if made.enum then made.enum[#made.enum + 1] = lynse.null end
end

-- is_body: of a body of JSON, not of a query string.
function schemas.of(argument, is_body)
   local made = {}
   for key, value in pairs(kinds[argument[2]]) do made[key] = value end
   set_bounds(made, argument)
   if argument.choices then made.enum = lynse.array { unpack(argument.choices) } end
   made.default = argument.default
   if is_body and not argument.required then set_nullable(made) end
   if is_body then made.description = argument.doc end
   return made
end

return schemas
