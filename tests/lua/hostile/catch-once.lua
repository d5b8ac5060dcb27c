-- SPDX-License-Identifier: Apache-2.0
-- catch-once.lua: what was caught should not go on.
-- ends: stopped
return function(n, distance, field, out)
   pcall(function() while true do end end)
   for i = 0, n - 1 do out[i] = 0 end
end
