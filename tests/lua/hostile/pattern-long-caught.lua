-- SPDX-License-Identifier: Apache-2.0
-- pattern-long-caught.lua: long patterns, caught for ever.
-- ends: stopped
return function(n, distance, field, out)
   local p = ("[a-z]"):rep(180)
   while true do pcall(string.find, "x", p) end
end
