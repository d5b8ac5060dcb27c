-- SPDX-License-Identifier: Apache-2.0
-- pattern-frontier.lua: %f for ever.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("x"):rep(60000)
   while true do s:find("%f[y]") end
end
