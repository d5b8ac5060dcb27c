-- SPDX-License-Identifier: Apache-2.0
-- catch-loop.lua: a loop around a caught loop.
-- ends: stopped
return function(n, distance, field, out)
   while true do pcall(function() while true do end end) end
end
