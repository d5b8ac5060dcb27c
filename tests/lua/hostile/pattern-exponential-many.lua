-- SPDX-License-Identifier: Apache-2.0
-- pattern-exponential-many.lua: the same with more stars.
-- ends: stopped
return function(n, distance, field, out)
   return (("a"):rep(60)):find((".-"):rep(30) .. "b")
end
