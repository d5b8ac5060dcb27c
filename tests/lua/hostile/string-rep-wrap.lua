-- SPDX-License-Identifier: Apache-2.0
-- string-rep-wrap.lua: rep to a length that wraps around.
-- ends: error
return function(n, distance, field, out)
   return ("ab"):rep(2 ^ 31)
end
