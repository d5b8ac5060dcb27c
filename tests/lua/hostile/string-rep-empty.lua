-- SPDX-License-Identifier: Apache-2.0
-- string-rep-empty.lua: rep of nothing, without end.
-- ends: quietly
return function(n, distance, field, out)
   out[0] = #(""):rep(math.huge)
   out[1] = #("x"):rep(-1)
   out[2] = #("x"):rep(0 / 0)
end
