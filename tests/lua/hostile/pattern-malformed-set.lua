-- SPDX-License-Identifier: Apache-2.0
-- pattern-malformed-set.lua: a set that ends within an escape.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find("[%")
end
