-- SPDX-License-Identifier: Apache-2.0
-- source-alternatives.lua: or, thousands of times.
-- ends: stopped
return a
--* 12000 or a
