-- SPDX-License-Identifier: Apache-2.0
-- string-format-star.lua: a width from an argument, which C knows and Lua does not.
-- ends: error
return function(n, distance, field, out)
   return ("%*d"):format(1e9, 1)
end
