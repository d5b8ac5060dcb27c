-- SPDX-License-Identifier: Apache-2.0
-- string-format-p.lua: an address of a table.
-- ends: error
return function(n, distance, field, out)
   return ("%p"):format({})
end
