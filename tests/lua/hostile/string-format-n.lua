-- SPDX-License-Identifier: Apache-2.0
-- string-format-n.lua: the directive that writes.
-- ends: error
return function(n, distance, field, out)
   return ("%n"):format(1)
end
