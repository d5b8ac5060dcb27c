-- SPDX-License-Identifier: Apache-2.0
-- out-huge.lua: a text for a distance.
-- ends: error
return function(n, distance, field, out)
   out[0] = ("x"):rep(60000)
end
