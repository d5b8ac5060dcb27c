-- SPDX-License-Identifier: Apache-2.0
-- pattern-long.lua: a pattern of many items.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find(("x?"):rep(2000))
end
