-- SPDX-License-Identifier: Apache-2.0
-- source-callable.lua: a table that can be called, which is no function.
-- ends: error
return setmetatable({}, { __call = function() end })
