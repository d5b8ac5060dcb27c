-- SPDX-License-Identifier: Apache-2.0
-- pattern-exponential.lua: the pattern that keeps a matcher busy for years.
-- ends: stopped
return function(n, distance, field, out)
   return (("a"):rep(150)):find(".-.-.-.-b")
end
