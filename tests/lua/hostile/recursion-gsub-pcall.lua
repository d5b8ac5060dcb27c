-- SPDX-License-Identifier: Apache-2.0
-- recursion-gsub-pcall.lua: the same, caught at each level.
-- ends: stopped
return function(n, distance, field, out)
   local function f(s) pcall(string.gsub, s, ".", f) return s end
   while true do f("abc") end
end
