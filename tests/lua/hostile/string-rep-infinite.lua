-- SPDX-License-Identifier: Apache-2.0
-- string-rep-infinite.lua: rep without end.
-- ends: error
return function(n, distance, field, out)
   return ("x"):rep(math.huge)
end
