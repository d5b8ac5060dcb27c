-- SPDX-License-Identifier: Apache-2.0
-- recursion-call.lua: __call that calls itself.
-- ends: stopped
return function(n, distance, field, out)
   local t = setmetatable({}, { __call = function(s) return 1 + s() end })
   t()
end
