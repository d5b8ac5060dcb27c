-- SPDX-License-Identifier: Apache-2.0
-- reach-loaded.lua: loaded modules, by package.
-- ends: error
return function(n, distance, field, out)
   return package.loaded.io
end
