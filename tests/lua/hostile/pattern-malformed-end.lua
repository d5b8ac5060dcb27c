-- SPDX-License-Identifier: Apache-2.0
-- pattern-malformed-end.lua: a pattern that ends within an escape.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find("%")
end
