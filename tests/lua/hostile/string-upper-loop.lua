-- SPDX-License-Identifier: Apache-2.0
-- string-upper-loop.lua: upper and lower of long texts.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("x"):rep(65000)
   while true do s:upper() s:lower() s:reverse() end
end
