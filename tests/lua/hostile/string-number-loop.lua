-- SPDX-License-Identifier: Apache-2.0
-- string-number-loop.lua: numbers of a hundred thousand digits.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("0"):rep(60000)
   local long = s .. s .. s .. "1"
   while true do local _ = long + 0 end
end
