-- SPDX-License-Identifier: Apache-2.0
-- reach-field-long.lua: a name of many bytes.
-- ends: error
return function(n, distance, field, out)
   return field[("x"):rep(60000)][0]
end
