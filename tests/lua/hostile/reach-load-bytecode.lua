-- SPDX-License-Identifier: Apache-2.0
-- reach-load-bytecode.lua: bytecode, by loadstring.
-- ends: error
return function(n, distance, field, out)
   return loadstring("\27LJ\2")()
end
