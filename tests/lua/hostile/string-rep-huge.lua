-- SPDX-License-Identifier: Apache-2.0
-- string-rep-huge.lua: rep to a gibibyte.
-- ends: error
return function(n, distance, field, out)
   return ("x"):rep(2 ^ 30)
end
