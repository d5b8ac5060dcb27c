-- SPDX-License-Identifier: Apache-2.0
-- sort-mixed.lua: what cannot be compared.
-- ends: error
return function(n, distance, field, out)
   table.sort({ 1, "x", {}, true })
end
