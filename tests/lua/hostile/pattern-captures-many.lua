-- SPDX-License-Identifier: Apache-2.0
-- pattern-captures-many.lua: more captures than there may be.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find(("("):rep(100))
end
