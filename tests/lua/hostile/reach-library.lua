-- SPDX-License-Identifier: Apache-2.0
-- reach-library.lua: libraries that are overwritten.
-- ends: quietly
return function(n, distance, field, out)
   math.abs = error
   table.sort = nil
   math.pi = 3
   bit.band = nil
   table = nil
end
