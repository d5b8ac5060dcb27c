-- SPDX-License-Identifier: Apache-2.0
-- string-concat-huge.lua: concat of a huge range.
-- ends: error
return function(n, distance, field, out)
   return table.concat({}, "x", 1, 1e15)
end
