-- SPDX-License-Identifier: Apache-2.0
local lynse = require "lynse"
local schemas = require "lynse.schemas"
local shapes = require "lynse.shapes"

-- Statuses of HTTP itself; those of our own failures are in the table of errors.
local statuses_of_http = { 405, 408, 414, 431 }
local block = { type = "string", format = "binary" }

local function reference(where, name)
   return { ["$ref"] = ("#/components/%s/%s"):format(where, name) }
end

local function content(kind, schema) return { [kind] = { schema = schema } } end

-- The arguments but for a body of bytes, as a query string has them.
local function parameters_of(method)
   local list = lynse.array {}
   for _, argument in ipairs(method.arguments) do
      if argument[2] ~= "body" and not argument.msgpack_only then
         list[#list + 1] = {
            name = argument[1], ["in"] = "query", required = argument.required or false,
            description = argument.doc, schema = schemas.of(argument, false),
         }
      end
   end
   return list
end

local function bytes_of(method)
   for _, argument in ipairs(method.arguments) do
      if argument[2] == "body" then
         return {
            required = true, description = argument.doc,
            content = content("application/octet-stream", schemas.of(argument, false)),
         }
      end
   end
end

local function body_of(method)
   local body = { type = "object", properties = {}, required = lynse.array {} }
   for _, argument in ipairs(method.arguments) do
      if not argument.msgpack_only then
         body.properties[argument[1]] = schemas.of(argument, true)
      end
      if argument.required then body.required[#body.required + 1] = argument[1] end
   end
   local is_needed = #body.required > 0
   if not is_needed then body.required = nil end
   return { required = is_needed, content = content("application/json", body) }
end

local function answer_of(name, route)
   if route.reply == "text" then
      return content(route.content_type or "text/plain; charset=utf-8", shapes.text)
   elseif route.reply and route.reply:match "_block$" then
      return content("application/octet-stream", block)
   elseif route.reply == "plain" then
      return content("application/json", reference("schemas", name))
   end
   return content("application/json", {
      type = "object", required = { "status", "params" },
      properties = {
         status = shapes.one_of { "success" }, params = reference("schemas", name),
      },
   })
end

local function refusals_of(context)
   local list = {}
   for _, status in ipairs(statuses_of_http) do list[tostring(status)] = true end
   for _, failure in ipairs(context.native.errors) do list[tostring(failure.status)] = true end
   return list
end

local function responses_of(name, route, refusals)
   local is_block = route.reply and route.reply:match "_block$"
   local list = { ["200"] = { description = "Done.", content = answer_of(name, route) } }
   for status in pairs(refusals) do
      list[status] = reference("responses", is_block and "TextError" or "Error")
   end
   if name == "ready" then
      list["503"] = { description = "About to stop.", content = answer_of(name, route) }
   end
   return list
end

local function operation(verb, path, method, route, refusals)
   local is_query = route.params == "query"
   local words = path == "/" and "_root" or path:gsub("[^%w]", "_")
   return {
      operationId = verb:lower() .. words,
      summary = method.summary,
      parameters = is_query and parameters_of(method) or nil,
      requestBody = is_query and bytes_of(method) or not is_query and body_of(method) or nil,
      responses = responses_of(method.name, route, refusals),
      security = method.public and lynse.array {} or nil,
   }
end

local function components_of(methods)
   local failed = "What is wrong, and with what."
   local components = {
      schemas = {
         Error = shapes.map {
            error = shapes.text, code = shapes.text, name = shapes.optional(shapes.text),
            retry_after_ms = shapes.optional(shapes.count),
         },
      },
      responses = {
         Error = {
            description = failed,
            content = content("application/json", reference("schemas", "Error")),
         },
         TextError = { -- as JSON where the request was refused before its path was looked at
            description = failed,
            content = {
               ["text/plain; charset=utf-8"] = { schema = shapes.text },
               ["application/json"] = { schema = reference("schemas", "Error") },
            },
         },
      },
      securitySchemes = {
         ApiKeyAuth = { type = "http", scheme = "bearer" },
         BasicAuth = { type = "http", scheme = "basic" },
      },
   }
   for name, method in pairs(methods) do components.schemas[name] = method.returns end
   return components
end

local made

local function make(context)
   local paths, refusals = {}, refusals_of(context)
   for verb_and_path, route in pairs(context.routes) do
      local verb, path = verb_and_path:match "^(%u+) (/%S*)$"
      local method = context.methods[route.method]
      paths[path] = paths[path] or {}
      paths[path][verb:lower()] = operation(verb, path, method, route, refusals)
   end
   return {
      openapi = "3.0.3",
      info = { title = "LynseDB HTTP API", version = context.engine.server_state().version },
      servers = { { url = "/" } },
      security = { { ApiKeyAuth = lynse.array {} }, { BasicAuth = lynse.array {} } },
      paths = paths,
      components = components_of(context.methods),
   }
end

return {
   summary = "Every route, as OpenAPI 3.0 describes them.",
   arguments = {},
   returns = shapes.object,
   run = function(context)
      made = made or make(context)
      return made
   end,
}
