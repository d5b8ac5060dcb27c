-- SPDX-License-Identifier: Apache-2.0
-- version: 1
-- boost.lua: a hit with a higher number in a field comes nearer.
--
-- A score is a distance and smaller is nearer; each unit of the field takes `weight` of the spread
-- of the hits' scores away.  Hits without a number there keep their score.
local DEFAULTS = { field = "boost", weight = { 0.1, -1e6, 1e6 } }

return function(hits, _, given)
   local options = ranking.options(given, DEFAULTS)
   local _, spread = ranking.spread(hits)
   local unit = options.weight * spread
   for i = 1, #hits do
      local boost = ranking.number(hits[i], options.field)
      if boost then hits[i].score = hits[i].score - unit * boost end
   end
   return ranking.sort(hits)
end
