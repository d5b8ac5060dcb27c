-- SPDX-License-Identifier: Apache-2.0
-- error-nil.lua: an error that is nothing.
-- ends: error
return function(n, distance, field, out)
   error()
end
