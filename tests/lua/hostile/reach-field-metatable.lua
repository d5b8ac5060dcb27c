-- SPDX-License-Identifier: Apache-2.0
-- reach-field-metatable.lua: the metatable of field.
-- ends: error
return function(n, distance, field, out)
   getmetatable(field).__index = nil
end
