-- SPDX-License-Identifier: Apache-2.0
-- assert-false.lua: assert with a table for a message.
-- ends: error
return function(n, distance, field, out)
   assert(false, {})
end
