-- SPDX-License-Identifier: Apache-2.0
-- memory-long-line.lua: one text of a thousand pieces, again and again.
-- ends: stopped
return function(n, distance, field, out)
   local a = ("a"):rep(60000)
   while true do local _ = a .. a .. a .. a end
end
