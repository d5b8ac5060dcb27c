-- SPDX-License-Identifier: Apache-2.0
-- pattern-backreference.lua: a capture that is compared at each place.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("a"):rep(3000)
   return s:find("(.+)b?%1c")
end
