-- SPDX-License-Identifier: Apache-2.0
-- string-format-loop.lua: format for ever.
-- ends: stopped
return function(n, distance, field, out)
   while true do ("%s %d %5.2f"):format("x", 1, 2.5) end
end
