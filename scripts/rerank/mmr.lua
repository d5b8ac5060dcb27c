-- SPDX-License-Identifier: Apache-2.0
-- version: 1
-- mmr.lua: maximal marginal relevance: hits that are near the query and unlike each other come
-- first (Carbonell and Goldstein, 1998).
--
-- Relevance is the place of a hit's score within the spread of all; likeness is the cosine of two
-- vectors.  `lambda` is the share of the first; scores are left as they are.
-- The work grows with the square of the hits: those after the first `diversified` keep their order.
local DEFAULTS = { lambda = { 0.5, 0, 1 }, diversified = { 500, 0, 10000 } }

local function unit_vector(vector, dim)
   local sum, unit = 0, {}
   for i = 0, dim - 1 do sum = sum + vector[i] * vector[i] end
   local scale = sum > 0 and 1 / math.sqrt(sum) or 0
   for i = 0, dim - 1 do unit[i] = vector[i] * scale end
   return unit
end

local function likeness(a, b, dim)
   local dot = 0
   for i = 0, dim - 1 do dot = dot + a[i] * b[i] end
   return dot
end

return function(hits, dim, given)
   local options = ranking.options(given, DEFAULTS)
   local lambda, left = options.lambda, {}
   local low, spread = ranking.spread(hits)
   local first = math.min(#hits, math.floor(options.diversified))
   for i = 1, first do
      local hit = hits[i]
      left[i] = {
         hit = hit, unit = unit_vector(hit.vector, dim),
         relevance = 1 - math.max(0, math.min((hit.score - low) / spread, 1)), alike = 0,
      }
   end
   local order = {}
   for n = 1, first do
      local best, best_value = 1, -math.huge
      for i = 1, #left do
         local value = lambda * left[i].relevance - (1 - lambda) * left[i].alike
         if value > best_value then best, best_value = i, value end
      end
      local chosen = table.remove(left, best)
      order[n] = chosen.hit
      for i = 1, #left do
         local alike = likeness(chosen.unit, left[i].unit, dim)
         if n == 1 or alike > left[i].alike then left[i].alike = alike end
      end
   end
   for i = first + 1, #hits do order[i] = hits[i] end
   return order
end
