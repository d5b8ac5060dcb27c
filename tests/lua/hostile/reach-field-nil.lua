-- SPDX-License-Identifier: Apache-2.0
-- reach-field-nil.lua: a field without a name.
-- ends: error
return function(n, distance, field, out)
   return field[nil].x
end
