-- SPDX-License-Identifier: Apache-2.0
-- loop-while.lua: the plain endless loop.
-- ends: stopped
return function(n, distance, field, out)
   while true do end
end
