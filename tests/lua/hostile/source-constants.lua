-- SPDX-License-Identifier: Apache-2.0
-- source-constants.lua: a table of thousands.
-- ends: error
return {
--* 12000 1.5,
}
