-- SPDX-License-Identifier: Apache-2.0
-- string-rep-loop-caught.lua: rep of too much, caught for ever.
-- ends: stopped
return function(n, distance, field, out)
   while true do pcall(string.rep, "x", 1e9) end
end
