-- SPDX-License-Identifier: Apache-2.0
-- catch-many.lua: pcall inside pcall around a loop.
-- ends: stopped
return function(n, distance, field, out)
   local f = function() while true do end end
   for _ = 1, 40 do local g = f f = function() pcall(g) end end
   f()
end
