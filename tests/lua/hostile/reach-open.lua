-- SPDX-License-Identifier: Apache-2.0
-- reach-open.lua: a file.
-- ends: error
return function(n, distance, field, out)
   return io.open("/etc/hostname")
end
