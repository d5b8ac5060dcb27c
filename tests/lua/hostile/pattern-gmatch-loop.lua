-- SPDX-License-Identifier: Apache-2.0
-- pattern-gmatch-loop.lua: gmatch of nothing, at each place, for ever.
-- ends: stopped
return function(n, distance, field, out)
   while true do for _ in (("x"):rep(60000)):gmatch("") do end end
end
