-- SPDX-License-Identifier: Apache-2.0
-- string-format-precision.lua: a precision of many digits.
-- ends: error
return function(n, distance, field, out)
   return ("%.99999f"):format(1)
end
