-- SPDX-License-Identifier: Apache-2.0
-- version: 1
-- boost.lua: a hit with a higher number in its field `boost` comes nearer.
--
-- A score is a distance and smaller is nearer; each unit of `boost` takes a tenth of the spread of
-- the hits' scores away.  Hits without a number there keep their score.
local UNIT = 0.1

return function(hits)
   local low, high = math.huge, -math.huge
   for i = 1, #hits do
      low, high = math.min(low, hits[i].score), math.max(high, hits[i].score)
   end
   local unit = UNIT * (high > low and high - low or 1)
   local place = {}
   for i = 1, #hits do
      local hit = hits[i]
      local boost = hit.field.boost
      if type(boost) == "number" and boost == boost then hit.score = hit.score - unit * boost end
      place[hit] = i
   end
   table.sort(hits, function(a, b)
      if a.score ~= b.score then return a.score < b.score end
      return place[a] < place[b]
   end)
   return hits
end
