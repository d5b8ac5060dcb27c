-- SPDX-License-Identifier: Apache-2.0
-- source-number.lua: a number instead of a function.
-- ends: error
return 1
