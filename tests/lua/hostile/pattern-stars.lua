-- SPDX-License-Identifier: Apache-2.0
-- pattern-stars.lua: greedy ones.
-- ends: stopped
return function(n, distance, field, out)
   return (("a"):rep(200)):find(("a*"):rep(20) .. "b")
end
