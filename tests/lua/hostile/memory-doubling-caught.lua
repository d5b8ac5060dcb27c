-- SPDX-License-Identifier: Apache-2.0
-- memory-doubling-caught.lua: a text that doubles, caught.
-- ends: stopped
return function(n, distance, field, out)
   while true do
      pcall(function() local s = "x" while true do s = s .. s end end)
   end
end
