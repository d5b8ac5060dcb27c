-- SPDX-License-Identifier: Apache-2.0
-- memory-doubling.lua: a text that doubles.
-- ends: stopped
return function(n, distance, field, out)
   local s = "x"
   while true do s = s .. s end
end
