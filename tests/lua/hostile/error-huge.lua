-- SPDX-License-Identifier: Apache-2.0
-- error-huge.lua: an error text as long as can be.
-- ends: error
return function(n, distance, field, out)
   error(("x"):rep(60000))
end
