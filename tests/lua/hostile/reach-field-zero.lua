-- SPDX-License-Identifier: Apache-2.0
-- reach-field-zero.lua: a name with a zero byte.
-- ends: error
return function(n, distance, field, out)
   return field["a\0b"][0]
end
