-- SPDX-License-Identifier: Apache-2.0
-- recursion-gsub.lua: a replacement that replaces: large frames of C.
-- ends: error
return function(n, distance, field, out)
   local function f(s) return (s:gsub(".", f)) end
   f("a")
end
