-- SPDX-License-Identifier: Apache-2.0
-- memory-unpack.lua: unpack of a huge range.
-- ends: error
return function(n, distance, field, out)
   return unpack({}, 1, 1e8)
end
