-- SPDX-License-Identifier: Apache-2.0
-- string-format-nul.lua: a format with a zero byte in it.
-- ends: error
return function(n, distance, field, out)
   return ("%\0d"):format(1)
end
