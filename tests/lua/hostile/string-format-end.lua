-- SPDX-License-Identifier: Apache-2.0
-- string-format-end.lua: a format that ends too early.
-- ends: error
return function(n, distance, field, out)
   return ("%"):format(1)
end
