-- SPDX-License-Identifier: Apache-2.0
-- pattern-gsub-grow.lua: a replacement that makes much of little.
-- ends: error
return function(n, distance, field, out)
   return (("x"):rep(60000)):gsub(".", ("y"):rep(60000))
end
