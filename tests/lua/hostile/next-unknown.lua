-- SPDX-License-Identifier: Apache-2.0
-- next-unknown.lua: next of a key that is not there.
-- ends: error
return function(n, distance, field, out)
   return next({}, "nowhere")
end
