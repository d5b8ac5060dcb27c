-- SPDX-License-Identifier: Apache-2.0
-- given-caught-room.lua: uses the room of what is given after an error inside of it.
-- hook: rerank
-- ends: stopped
return function(hits)
   local t = {}
   pcall(function() return hits[1].field.a.b.c end)
   for i = 1, 200000 do t[i] = i end
end
