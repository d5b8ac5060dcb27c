-- SPDX-License-Identifier: Apache-2.0
-- string-rep-loop.lua: rep of much, for ever.
-- ends: stopped
return function(n, distance, field, out)
   while true do ("x"):rep(65000) end
end
