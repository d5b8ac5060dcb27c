-- SPDX-License-Identifier: Apache-2.0
-- source-invalid-utf8.lua: bytes that are no text.
-- ends: error
return ÿþÀ€ + 1
