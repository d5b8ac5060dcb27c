-- SPDX-License-Identifier: Apache-2.0
-- pattern-gsub-loop.lua: gsub of each byte, for ever.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("x"):rep(30000)
   while true do s:gsub(".", "%0%0") end
end
