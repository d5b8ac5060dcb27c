-- SPDX-License-Identifier: Apache-2.0
-- pattern-balance.lua: %b over a long text from each place.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("("):rep(60000)
   while true do s:find("%b()") end
end
