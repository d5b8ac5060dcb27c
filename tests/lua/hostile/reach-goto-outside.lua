-- SPDX-License-Identifier: Apache-2.0
-- reach-goto-outside.lua: a label that is not there.
-- ends: error
return function(n, distance, field, out)
   goto outside
end
