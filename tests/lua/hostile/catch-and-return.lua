-- SPDX-License-Identifier: Apache-2.0
-- catch-and-return.lua: catches the stop, and answers as if nothing were.
-- ends: stopped
return function(n, distance, field, out)
   local ok = pcall(function() while true do end end)
   if not ok then out[0] = 0 end
end
