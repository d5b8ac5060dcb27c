-- SPDX-License-Identifier: Apache-2.0
-- string-format-flags.lua: more flags than there are.
-- ends: error
return function(n, distance, field, out)
   return ("%---------------------------d"):format(1)
end
