-- SPDX-License-Identifier: Apache-2.0
-- string-rep-separator.lua: rep of nothing with something between.
-- ends: error
return function(n, distance, field, out)
   return (""):rep(1e9, "ab")
end
