-- SPDX-License-Identifier: Apache-2.0
-- reach-string-buffer.lua: buffers.
-- ends: quietly
return function(n, distance, field, out)
   if string.buffer ~= nil then out[0] = -1 end
end
