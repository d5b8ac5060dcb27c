-- SPDX-License-Identifier: Apache-2.0
-- sort-holes.lua: a table with holes.
-- ends: quietly
return function(n, distance, field, out)
   pcall(table.sort, { 1, nil, 3, nil, 5 })
   pcall(table.sort, { [1] = 1, [1000] = 2 })
end
