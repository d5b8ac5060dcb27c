-- SPDX-License-Identifier: Apache-2.0
-- pattern-optional.lua: a? to the thirtieth.
-- ends: stopped
return function(n, distance, field, out)
   return (("a"):rep(60)):match(("a?"):rep(60) .. ("a"):rep(61))
end
