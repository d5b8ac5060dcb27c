-- SPDX-License-Identifier: Apache-2.0
-- error-percent.lua: an error text that a careless printf would format.
-- ends: error
return function(n, distance, field, out)
   error("%s%s%s%n%n%n%d", 0)
end
