-- SPDX-License-Identifier: Apache-2.0
-- pattern-captures-open.lua: captures that never end.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find("((((x")
end
