-- SPDX-License-Identifier: Apache-2.0
-- out-replaced.lua: another table in its place.
-- ends: quietly
return function(n, distance, field, out)
   out = {}
   distance = nil
   field = nil
end
