-- SPDX-License-Identifier: Apache-2.0
-- pattern-quadratic-loop.lua: a quadratic one, for ever.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("a"):rep(60000)
   while true do s:find("a*b") end
end
