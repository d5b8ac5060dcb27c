-- SPDX-License-Identifier: Apache-2.0
-- error-level.lua: error at a level that is not there.
-- ends: error
return function(n, distance, field, out)
   error("where", 1e9)
end
