-- SPDX-License-Identifier: Apache-2.0
-- reach-require-ffi.lua: memory, by require.
-- ends: error
return function(n, distance, field, out)
   return require("ffi")
end
