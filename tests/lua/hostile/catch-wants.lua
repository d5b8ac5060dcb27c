-- SPDX-License-Identifier: Apache-2.0
-- catch-wants.lua: catches the question for a field, and goes on.
-- ends: quietly
return function(n, distance, field, out)
   for i = 1, 50 do pcall(function() return field.x1[0] end) end
   out[0] = 1
end
