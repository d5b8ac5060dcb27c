-- SPDX-License-Identifier: Apache-2.0
-- string-byte-huge.lua: all bytes of a long text at once.
-- ends: error
return function(n, distance, field, out)
   return (("x"):rep(60000)):byte(1, -1)
end
