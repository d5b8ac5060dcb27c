-- SPDX-License-Identifier: Apache-2.0
-- error-bytes.lua: an error text of bytes that are no text.
-- ends: error
return function(n, distance, field, out)
   local s = ""
   for i = 0, 255 do s = s .. string.char(i) end
   error(s, 0)
end
