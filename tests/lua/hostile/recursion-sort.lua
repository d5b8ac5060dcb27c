-- SPDX-License-Identifier: Apache-2.0
-- recursion-sort.lua: a comparator that sorts: frames of C.
-- ends: error
return function(n, distance, field, out)
   local function compare(a, b)
      table.sort({ 3, 2, 1 }, compare)
      return a < b
   end
   table.sort({ 3, 2, 1 }, compare)
end
