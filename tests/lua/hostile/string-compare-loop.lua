-- SPDX-License-Identifier: Apache-2.0
-- string-compare-loop.lua: comparing long texts that differ at their ends.
-- ends: stopped
return function(n, distance, field, out)
   local a = ("x"):rep(60000)
   local b, c = a .. a .. "1", a .. a .. "2"
   while true do local _ = b < c end
end
