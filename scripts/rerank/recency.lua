-- SPDX-License-Identifier: Apache-2.0
-- version: 1
-- recency.lua: older hits come later, by the datetime or the seconds since 1970 in `created_at`.
--
-- The newest hit is the measure: there is no clock here.  What is HALF_LIFE older than it comes
-- later by half of the spread of the hits' scores; what has no time is taken for infinitely old.
local HALF_LIFE = 30 * 24 * 3600

return function(hits)
   local newest, low, high = -math.huge, math.huge, -math.huge
   for i = 1, #hits do
      local time = hits[i].field.created_at
      if type(time) == "number" and time > newest then newest = time end
      low, high = math.min(low, hits[i].score), math.max(high, hits[i].score)
   end
   local spread, place = high > low and high - low or 1, {}
   for i = 1, #hits do
      local hit = hits[i]
      local time, fresh = hit.field.created_at, 0
      if type(time) == "number" and time == time then
         fresh = 0.5 ^ ((newest - time) / HALF_LIFE)
      end
      hit.score = hit.score + spread * (1 - fresh)
      place[hit] = i
   end
   table.sort(hits, function(a, b)
      if a.score ~= b.score then return a.score < b.score end
      return place[a] < place[b]
   end)
   return hits
end
