-- SPDX-License-Identifier: Apache-2.0
-- string-long-subject.lua: a subject over the limit.
-- ends: error
return function(n, distance, field, out)
   local s = ("x"):rep(60000)
   return (s .. s):find("y.")
end
