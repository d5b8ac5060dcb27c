-- SPDX-License-Identifier: Apache-2.0
-- version: 1
-- recency.lua: older hits come later, by the datetime or the seconds since 1970 in a field.
--
-- There is no clock here: the age is that before `now`, or before the newest of the hits.  What is
-- half_life_days old comes later by half of `weight` times the spread of the hits' scores; what has
-- no time is taken for infinitely old, what is of after `now` for new.
local DAY = 24 * 3600
local DEFAULTS = {
   field = "created_at", half_life_days = { 30, 1e-6, 1e6 }, weight = { 1, 0, 1e6 },
   now = { nil, -1e15, 1e15 },
}

return function(hits, _, given)
   local options = ranking.options(given, DEFAULTS)
   local now, times = options.now, {}
   local newest = -math.huge
   for i = 1, #hits do
      times[i] = ranking.number(hits[i], options.field)
      if times[i] and times[i] > newest then newest = times[i] end
   end
   local _, spread = ranking.spread(hits)
   local half_life = options.half_life_days * DAY
   for i = 1, #hits do
      local fresh = 0
      if times[i] then fresh = 0.5 ^ (math.max((now or newest) - times[i], 0) / half_life) end
      hits[i].score = hits[i].score + options.weight * spread * (1 - fresh)
   end
   return ranking.sort(hits)
end
