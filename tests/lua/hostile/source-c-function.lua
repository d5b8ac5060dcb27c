-- SPDX-License-Identifier: Apache-2.0
-- source-c-function.lua: a function of the library for a hook.
-- ends: error
return error
