-- SPDX-License-Identifier: Apache-2.0
-- pattern-nested-gmatch.lua: gmatch within gmatch within gmatch.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("x"):rep(2000)
   for _ in s:gmatch(".") do for _ in s:gmatch(".") do for _ in s:gmatch(".") do end end end
end
