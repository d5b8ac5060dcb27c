-- SPDX-License-Identifier: Apache-2.0
-- pattern-captures-close.lua: the end of a capture that never began.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find("(x))")
end
