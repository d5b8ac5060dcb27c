-- SPDX-License-Identifier: Apache-2.0
-- rerank.lua: what the rerankers of scripts/rerank share; the build puts it before each of them.
--
-- Scores are distances: smaller is nearer.  One may be infinite: it is left so, and has no part in
-- the spread.
local ranking = {} -- luacheck: ignore 241 (the scripts behind it read it)

local function is_finite(x) return type(x) == "number" and x - x == 0 end

-- What `options` has, else the default.  defaults: name -> {value, least, most}, or a text.
function ranking.options(options, defaults)
   for name in pairs(options) do
      if not defaults[name] then error("there is no option '" .. tostring(name) .. "'", 0) end
   end
   local found = {}
   for name, default in pairs(defaults) do
      local value = options[name]
      if type(default) == "string" then
         found[name] = value == nil and default or value
         if type(found[name]) ~= "string" then
            error(("option '%s' is a %s, must be a text"):format(name, type(value)), 0)
         end
      elseif value == nil then
         found[name] = default[1]
      elseif not is_finite(value) or value < default[2] or value > default[3] then
         error(("option '%s' is %s, must be a number of %g to %g"):format(name,
            type(value) == "number" and tostring(value) or "a " .. type(value), default[2],
            default[3]), 0)
      else
         found[name] = value
      end
   end
   return found
end

-- The lowest score, and how far it is to the highest; 1 where all are the same.
function ranking.spread(hits)
   local low, high = math.huge, -math.huge
   for i = 1, #hits do
      local score = hits[i].score
      if is_finite(score) then low, high = math.min(low, score), math.max(high, score) end
   end
   if high > low then return low, high - low end
   return high == low and low or 0, 1
end

-- The finite number in a field of the hit, by its name or its path; nil: there is none.
function ranking.number(hit, path)
   local value = hit.field[path]
   if value == nil then
      value = hit.field
      for name in path:gmatch "[^.]+" do
         if type(value) ~= "table" then return nil end
         value = value[name]
      end
   end
   return is_finite(value) and value or nil
end

-- The hits by their scores; those that are equal stay as they were.
function ranking.sort(hits)
   local place = {}
   for i = 1, #hits do place[hits[i]] = i end
   table.sort(hits, function(a, b)
      if a.score ~= b.score then return a.score < b.score end
      return place[a] < place[b]
   end)
   return hits
end
