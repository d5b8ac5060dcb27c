-- SPDX-License-Identifier: Apache-2.0
-- string-format-many.lua: more text than one format makes.
-- ends: error
return function(n, distance, field, out)
   return ("%99d"):rep(1000):format(unpack({ 1, 2, 3 }))
end
