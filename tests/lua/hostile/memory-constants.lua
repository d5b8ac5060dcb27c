-- SPDX-License-Identifier: Apache-2.0
-- memory-constants.lua: many texts of one byte more each.
-- ends: stopped
return function(n, distance, field, out)
   local s, t = "", {}
   while true do s = s .. "y" t[#t + 1] = s end
end
