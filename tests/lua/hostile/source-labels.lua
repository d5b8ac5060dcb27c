-- SPDX-License-Identifier: Apache-2.0
-- source-labels.lua: one label, thousands of times.
-- ends: error
--* 4000 ::a::
return function() end
