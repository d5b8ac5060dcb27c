-- SPDX-License-Identifier: Apache-2.0
-- string-quoted-loop.lua: %q of bytes that grow.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("\0"):rep(10000)
   while true do ("%q"):format(s) end
end
