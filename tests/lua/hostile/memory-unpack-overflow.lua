-- SPDX-License-Identifier: Apache-2.0
-- memory-unpack-overflow.lua: unpack of a range that wraps around.
-- ends: quietly
return function(n, distance, field, out)
   pcall(unpack, {}, -2147483648, 2147483647)
   pcall(unpack, {}, 0, 1e308)
   pcall(unpack, {}, 1, 2 ^ 53)
end
