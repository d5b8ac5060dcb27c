-- SPDX-License-Identifier: Apache-2.0
-- string-format-width.lua: a width of many digits.
-- ends: error
return function(n, distance, field, out)
   return ("%1000000d"):format(1)
end
